import { invalid } from '../shared/problem.js';
import type { Wish } from './serving.js';

const DEFAULT_MIN_TTL_S = 30;
const MOST_MIN_TTL_S = 3_600;
const MOST_SCOPES = 100;

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
  const scopes = typeof value === 'string' && value.length <= 4_096 ? value.split(',') : [];
  if (
    scopes.length > 0 &&
    scopes.length <= MOST_SCOPES &&
    scopes.every((scope) => /^[\x21-\x7e]+$/.test(scope))
  ) {
    return scopes;
  }
  throw invalid('scope', 'must be given once, as scopes separated by commas');
}

function readLevel(value: unknown): boolean {
  if (value === 'location' || value === 'location_then_company') return value === 'location_then_company';
  throw invalid('level', 'must be given once, as location or location_then_company');
}
