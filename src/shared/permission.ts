import { isId } from './ids.js';

/** What a caller may be permitted to do; in the trail, what it did. */
export const ACTIONS = [
  'token:read',
  'token:report',
  'token:read-personal',
  'token:read-session',
  'connection:read',
  'connection:write',
  'connection:renew',
  'provider:admin',
  'client:admin',
  'audit:read',
  'key:admin',
] as const;

export type Action = (typeof ACTIONS)[number];

/**
 * An action (`*`: all) on the resources that a pattern names: `konnect/companies/42`, `konnect/companies/42/locations/7`, with
 * `*` for any one segment and `**` at the end for everything below; alone, it is everything.
 */
export interface Permission {
  readonly action: Action | '*';
  readonly resource: string;
}

/** What is about no company or location is asked for by this name, which only a permission on everything holds. */
export const EVERYTHING = '**';

/** Segments of a company and of a location: `{provider}/companies/{id}/locations/{id}`. */
const COMPANY_LENGTH = 3;
const LOCATION_LENGTH = 5;
/** Any one of a resource: no star, so that `**` is below nothing. */
const SEGMENT = '[^/*]+';
const KEYWORDS: Readonly<Record<number, string>> = { 1: 'companies', 3: 'locations' };

export function isAction(value: unknown): value is Action | '*' {
  return value === '*' || ACTIONS.some((action) => action === value);
}

/** True for what can match a resource at all: a pattern that never does is a mistake of whoever wrote it. */
export function isResourcePattern(text: string): boolean {
  const { segments, below } = parse(text);
  const isWhole = segments.length === COMPANY_LENGTH || segments.length === LOCATION_LENGTH;
  if (below ? segments.length >= LOCATION_LENGTH : !isWhole) return false;
  return segments.every(
    (segment, place) => segment === '*' || segment === (KEYWORDS[place] ?? (isId(segment) && segment)),
  );
}

/** True for one company or one location. */
export function isResource(text: string): boolean {
  return !text.includes('*') && isResourcePattern(text);
}

/** A resource, read. */
export interface Pattern {
  readonly segments: readonly string[];
  /** Everything below, and not itself. */
  readonly below: boolean;
}

/** Some permissions, ready to be asked: asking costs a few hundred nanoseconds, since every read of a token does. */
export class Permissions {
  readonly #byAction = new Map<Action | '*', Pattern[]>();
  /** What each action is permitted on, those that `*` permits included; made when it is first asked for. */
  readonly #expressions = new Map<Action, readonly RegExp[]>();

  constructor(readonly all: readonly Permission[]) {
    for (const { action, resource } of all) {
      const patterns = this.#byAction.get(action) ?? [];
      this.#byAction.set(action, patterns);
      patterns.push(parse(resource));
    }
  }

  /** May it do this to one resource? */
  permits(action: Action, resource: string): boolean {
    let expressions = this.#expressions.get(action);
    if (!expressions)
      this.#expressions.set(action, (expressions = this.patternsOf(action).map(expressionOf)));
    for (const expression of expressions) if (expression.test(resource)) return true;
    return false;
  }

  /** Does it hold all that this permission would give? */
  covers({ action, resource }: Permission): boolean {
    const wanted = parse(resource);
    return this.patternsOf(action).some((held) => contains(held, wanted));
  }

  /** Is there anything at all that it may do this to? */
  permitsSome(action: Action): boolean {
    return this.patternsOf(action).length > 0;
  }

  /** On what it may do this. */
  patternsOf(action: Action | '*'): readonly Pattern[] {
    const all = this.#byAction.get('*') ?? [];
    if (action === '*') return all;
    const its = this.#byAction.get(action) ?? [];
    return all.length === 0 ? its : [...its, ...all];
  }
}

function parse(text: string): Pattern {
  const segments = text.split('/');
  const below = segments.at(-1) === '**';
  return { segments: below ? segments.slice(0, -1) : segments, below };
}

/** What a pattern matches. Alone, `**` matches all that there is, and what is asked for by that name. */
function expressionOf({ segments, below }: Pattern): RegExp {
  if (below && segments.length === 0) return /^/;
  const path = segments.map((it) => (it === '*' ? SEGMENT : it.replaceAll(/\W/g, String.raw`\$&`))).join('/');
  return new RegExp(`^${path}${below ? `/${SEGMENT}(/${SEGMENT})*` : ''}$`);
}

/** Whatever the second matches, the first matches, too. */
function contains(held: Pattern, wanted: Pattern): boolean {
  const { length } = held.segments;
  if (!held.below && (wanted.below || wanted.segments.length !== length)) return false;
  // What is below a pattern has one segment more than it at the least.
  if (wanted.segments.length + (wanted.below ? 1 : 0) <= length - (held.below ? 0 : 1)) return false;
  return held.segments.every((segment, place) => segment === '*' || segment === wanted.segments[place]);
}
