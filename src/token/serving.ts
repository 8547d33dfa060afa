import { MADE_NO_SENSE } from '../provider/verdict.js';
import type { ProblemCode } from '../shared/problem.js';
import type { TokenInHand } from './token-in-hand.js';
import { isGivenBack, isReported, remainingSeconds, type Connection } from './connection.js';

/** What a caller asked of a token. */
export interface Wish {
  /** Seconds that the token must still live. */
  readonly minTtl: number;
  readonly scopes: readonly string[];
}

/** What a connection in its present state has for a caller. */
export type Verdict =
  | { readonly kind: 'serve'; readonly stale: boolean }
  | { readonly kind: 'renew' }
  | {
      readonly kind: 'refuse';
      readonly code: ProblemCode;
      readonly missingScopes?: string[];
      readonly maxTtl?: number;
    };

/** The part of a provider's lifetime up to which `min_ttl` is honoured, so that no reader causes a renewal at every call. */
export const HONOURED_PART = 0.9;

/** Our failure codes that mean: the broker's registration is wrong. */
const MISCONFIGURED = new Set([
  'client_refused',
  'request_refused',
  'endpoint_gone',
  'metadata_refused',
  'redirected',
  'private_address',
]);

/** Serves, renews or refuses: the whole of what a read may come to, in the order of the contract. Pure. */
export function judge(connection: Connection, wish: Wish): Verdict {
  const verdict = judgeInHand(connection, remainingSeconds(connection), wish);
  if (verdict) return verdict;
  if (connection.sealedGrant === null) return unrenewable(remainingSeconds(connection));
  if (connection.status === 'paused') return { kind: 'refuse', code: 'connection_paused' };
  if (isBackingOff(connection)) return { kind: 'refuse', code: failureProblem(connection) };
  return { kind: 'renew' };
}

/** What the token in hand comes to, with `remaining` seconds to live; undefined where it does not do, and the grant has to be looked at. */
export function judgeInHand(token: TokenInHand, remaining: number, wish: Wish): Verdict | undefined {
  if (token.status === 'revoked') return { kind: 'refuse', code: 'connection_revoked' };
  const dead = token.status === 'reauthorization_required';
  const satisfied = remaining > 0 && remaining >= wish.minTtl && !(dead && isReported(token));
  if (dead && !satisfied) return { kind: 'refuse', code: 'reauthorization_required' };

  const missingScopes = lacking(token.scopes, wish.scopes);
  if (missingScopes.length > 0 && token.tokenVersion > 0) {
    return { kind: 'refuse', code: 'scope_missing', missingScopes };
  }
  const maxTtl = Math.floor((token.renewedLifetimeS ?? Infinity) * HONOURED_PART);
  if (remaining !== Infinity && wish.minTtl > maxTtl)
    return { kind: 'refuse', code: 'ttl_unsatisfiable', maxTtl };

  return satisfied ? { kind: 'serve', stale: dead || token.consecutiveFailures > 0 } : undefined;
}

/** A token that only a person can replace: what is left of it is what can be had. */
function unrenewable(remaining: number): Verdict {
  if (!(remaining > 0)) return { kind: 'refuse', code: 'reauthorization_required' };
  return { kind: 'refuse', code: 'ttl_unsatisfiable', maxTtl: Math.floor(remaining) };
}

/** After a renewal: a request is answered with what came, and never causes a second one. */
export function judgeAfterRenewal(connection: Connection, wish: Wish): Verdict {
  const verdict = judge(connection, wish);
  if (verdict.kind !== 'renew') return verdict;
  if (connection.consecutiveFailures > 0 || isGivenBack(connection))
    return { kind: 'refuse', code: failureProblem(connection) };
  return {
    kind: 'refuse',
    code: 'ttl_unsatisfiable',
    maxTtl: Math.max(0, Math.floor(remainingSeconds(connection))),
  };
}

/** Seconds until the next try, at least 1, for `Retry-After`. */
export function retryAfterSeconds(connection: Connection): number {
  const wait = ((connection.renewAt?.getTime() ?? 0) - connection.now.getTime()) / 1_000;
  return Math.max(1, Math.ceil(wait));
}

/** The scopes that the provider is configured with and this grant lacks. Whoever asked for `*` was told what there is. */
export function missingScopes(connection: Connection, configured: readonly string[]): string[] {
  if (connection.tokenVersion === 0) return [];
  return lacking(connection.scopes, configured).filter((scope) => scope !== '*');
}

/** Those of `wanted` that are not granted. Connect's `*` grants all that there is. */
function lacking(granted: readonly string[], wanted: readonly string[]): string[] {
  return granted.includes('*') ? [] : wanted.filter((scope) => !granted.includes(scope));
}

/** Which problem the last failure is to a caller whose token is too short. */
export function failureProblem(connection: Connection): ProblemCode {
  const code = connection.lastError ?? '';
  if (MISCONFIGURED.has(code)) return 'provider_misconfigured';
  // Without a suspicion against the grant, a bare refusal was put down to our registration.
  if (code === 'refused_without_code' && connection.status === 'active') return 'provider_misconfigured';
  return MADE_NO_SENSE.has(code) ? 'provider_protocol_error' : 'provider_unavailable';
}

function isBackingOff(connection: Connection): boolean {
  return (
    connection.consecutiveFailures > 0 && connection.renewAt !== null && connection.renewAt > connection.now
  );
}
