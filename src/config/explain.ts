import type { ValidationError } from 'class-validator';

/** A class-validator error in our words: the field and what it must be, never its value. */
export function explain(error: ValidationError): string {
  const inner = error.children?.[0];
  if (inner) return `${error.property}.${explain(inner)}`;
  const reasons = Object.entries(error.constraints ?? { nested: 'is malformed' });
  const [rule, reason] = reasons.at(-1) ?? ['', 'is malformed'];
  const text = reason.replace(/^each value in (?=\S+ )/, '');
  if (rule === 'whitelistValidation') return `${error.property} is no setting of this kind`;
  return text.startsWith(error.property) ? text : `${error.property} ${text}`;
}
