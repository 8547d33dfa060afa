import { IsIn, IsInt, IsOptional, Matches, Max, MaxLength, Min } from 'class-validator';
import { invalid } from '../shared/problem.js';
import { Field } from '../shared/schema.js';
import type { Wish } from './serving.js';

const DEFAULT_MIN_TTL_S = 30;
const MOST_MIN_TTL_S = 3_600;
const MOST_SCOPES = 100;
const LONGEST_SCOPES = 4_096;
const LEVELS = ['location', 'location_then_company'];
const SCOPES = /^[\x21-\x2b\x2d-\x7e]+(,[\x21-\x2b\x2d-\x7e]+)*$/;

/**
 * The query of a token's `GET`, as it is described. It is read by `readTokenQuery`, of which the rules here are the
 * bounds: checking classes would cost that route more than all its other work.
 */
export class TokenQueryShape {
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(MOST_MIN_TTL_S)
  @Field({ default: DEFAULT_MIN_TTL_S, examples: [60] }, 'Whole seconds that the token must still live.')
  min_ttl?: number;
  @IsOptional()
  @Matches(SCOPES)
  @MaxLength(LONGEST_SCOPES)
  @Field(
    { examples: ['company/products,company/orders'] },
    `At most ${MOST_SCOPES} scopes, separated by commas, all of which the token must hold.`,
  )
  scope?: string;
}

/** Of a location's token. */
export class LocationTokenQueryShape extends TokenQueryShape {
  @IsOptional()
  @IsIn(LEVELS)
  @Field(
    { default: 'location' },
    "With `location_then_company` the company's token stands in where the location has no connection of its own, and the caller may read that one.",
  )
  level?: string;
}

/** What the query of a token's `GET` asks for. */
export interface TokenQuery {
  readonly wish: Wish;
  /** `level=location_then_company` */
  readonly orCompany: boolean;
}

/** Reads `min_ttl`, `scope` and, for a location, `level`. Throws Problem `invalid_request` for anything else. */
export function readTokenQuery(query: Record<string, unknown>, isLocation: boolean): TokenQuery {
  let minTtl = DEFAULT_MIN_TTL_S;
  let scopes: string[] = [];
  let orCompany = false;
  for (const name of Object.keys(query)) {
    const value = query[name];
    if (name === 'min_ttl') minTtl = readMinTtl(value);
    else if (name === 'scope') scopes = readScopes(value);
    else if (name === 'level' && isLocation) orCompany = readLevel(value);
    else throw invalid(/^[A-Za-z0-9_]{1,64}$/.test(name) ? name : 'query', 'is not known here');
  }
  return { wish: { minTtl, scopes }, orCompany };
}

function readMinTtl(value: unknown): number {
  const seconds = typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : NaN;
  if (seconds <= MOST_MIN_TTL_S) return seconds;
  throw invalid('min_ttl', `must be given once, as whole seconds from 0 to ${MOST_MIN_TTL_S}`);
}

function readScopes(value: unknown): string[] {
  if (typeof value === 'string' && value.length <= LONGEST_SCOPES && SCOPES.test(value)) {
    const scopes = value.split(',');
    if (scopes.length <= MOST_SCOPES) return scopes;
  }
  throw invalid('scope', 'must be given once, as scopes separated by commas');
}

function readLevel(value: unknown): boolean {
  if (typeof value === 'string' && LEVELS.includes(value)) return value === 'location_then_company';
  throw invalid('level', 'must be given once, as location or location_then_company');
}
