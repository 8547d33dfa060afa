import { Environment } from './environment.js';

const VARIABLE = /\$\{([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}/g;

/** A variable that a template names. Without a default it is required. */
export interface TemplateVariable {
  readonly name: string;
  readonly hasDefault: boolean;
}

/** The `${NAME}` and `${NAME:-default}` in a text, in order. */
export function variablesIn(text: string): TemplateVariable[] {
  return [...text.matchAll(VARIABLE)].map((match) => ({
    name: match[1] ?? '',
    hasDefault: match[2] !== undefined,
  }));
}

/** True for a text that is meant to be a variable, or to hold one, and does not. */
export function isMistyped(text: string): boolean {
  // A default is no place for a variable: it would end at the inner brace.
  const rest = text.replace(VARIABLE, (_, _name: string, fallback = '') => fallback as string);
  return rest.includes('${') || /^\$[A-Z][A-Z0-9_]*$/.test(text);
}

/** The text with every variable put in; one that is unset and has no default becomes empty, as in a shell. */
export function render(text: string, environment: Environment): string {
  return text.replace(
    VARIABLE,
    (_, name: string, fallback = '') => environment.secret(name) ?? (fallback as string),
  );
}

/** Applies `change` to every text in a parsed YAML value, however deep. */
export function mapTexts(value: unknown, change: (text: string) => unknown): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, change)]));
  }
  return value;
}
