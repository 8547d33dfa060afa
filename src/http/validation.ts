import { ValidationPipe, type ArgumentMetadata, type ValidationError } from '@nestjs/common';
import type { ClassConstructor } from 'class-transformer';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { invalid, Problem, type FieldError } from '../shared/problem.js';

const RULES = { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true } as const;

/** Checks every body and query that has a DTO class: unknown fields are refused, and each error names its field. */
class StrictPipe extends ValidationPipe {
  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'body' || metadata.metatype !== Object) refuseInherited(value);
    return super.transform(value, metadata) as Promise<unknown>;
  }
}

export const validationPipe = new StrictPipe({
  ...RULES,
  transform: true,
  exceptionFactory: asInvalidRequest,
});

/** As the pipe, for a body whose class is known only later. Throws Problem `invalid_request`. */
export function readBody<T extends object>(shape: ClassConstructor<T>, body: unknown): T {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Problem('invalid_request', 'The body must be a JSON object.', {
      errors: [{ field: 'body', message: 'must be a JSON object' }],
    });
  }
  refuseInherited(body);
  const instance = plainToInstance(shape, body);
  // A shape without fields is one that is known, too.
  const errors = validateSync(instance, { ...RULES, forbidUnknownValues: false });
  if (errors.length > 0) throw asInvalidRequest(errors);
  return instance;
}

/** `constructor`, `toString` and their like pass class-transformer and the whitelist unseen. */
function refuseInherited(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (Object.keys(value).some((name) => name in Object.prototype)) {
    throw invalid('body', 'has a field that is not known here');
  }
}

function asInvalidRequest(errors: ValidationError[]): Problem {
  const fields = errors.map(asFieldError);
  const first = fields[0];
  return new Problem(
    'invalid_request',
    first ? `${first.field} ${first.message}` : 'The request is malformed.',
    {
      errors: fields,
    },
  );
}

function asFieldError({ property, constraints }: ValidationError): FieldError {
  // Names come from outside, too: one that is too odd to print is not printed.
  const field = /^[A-Za-z0-9_]{1,64}$/.test(property) ? property : 'body';
  // The rule that was written first stands last.
  const [rule, text] = Object.entries(constraints ?? {}).at(-1) ?? ['', 'is malformed'];
  if (rule === 'whitelistValidation') return { field, message: 'is not known here' };
  return { field, message: text.startsWith(`${property} `) ? text.slice(property.length + 1) : text };
}
