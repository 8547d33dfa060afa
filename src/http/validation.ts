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

/** No body of ours is deeper; class-transformer, which goes down by calling itself, runs out of stack some thousand levels below. */
const DEEPEST = 8;

/** `constructor`, `toString` and their like pass class-transformer and the whitelist unseen, at any depth. */
function refuseInherited(value: unknown, depth = 0): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > DEEPEST) throw invalid('body', 'is nested too deeply');
  if (!Array.isArray(value) && Object.keys(value).some((name) => name in Object.prototype)) {
    throw invalid('body', 'has a field that is not known here');
  }
  for (const each of Object.values(value)) refuseInherited(each, depth + 1);
}

/** More would be of no use to anybody, and could be as many as fit into a body. */
const MOST_ERRORS = 20;

function asInvalidRequest(errors: ValidationError[]): Problem {
  const fields = errors.flatMap((error) => asFieldErrors(error)).slice(0, MOST_ERRORS);
  const first = fields[0];
  return new Problem(
    'invalid_request',
    first ? `${first.field} ${first.message}` : 'The request is malformed.',
    { errors: fields },
  );
}

/** What is wrong in a list or an object is named by its way there: `permissions.0.action`. */
function asFieldErrors({ property, constraints, children = [] }: ValidationError, above = ''): FieldError[] {
  // Names come from outside, too: one that is too odd to print is not printed.
  const field = /^[A-Za-z0-9_]{1,64}$/.test(property) ? `${above}${property}` : above.slice(0, -1) || 'body';
  const inside = children.flatMap((child) => asFieldErrors(child, `${field}.`));
  if (inside.length > 0) return inside;
  // The rule that was written first stands last.
  const [rule, text] = Object.entries(constraints ?? {}).at(-1) ?? ['', 'is malformed'];
  if (rule === 'whitelistValidation') return [{ field, message: 'is not known here' }];
  return [{ field, message: text.startsWith(`${property} `) ? text.slice(property.length + 1) : text }];
}
