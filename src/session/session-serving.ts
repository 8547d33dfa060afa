import { HONOURED_PART, type Wish } from '../token/serving.js';
import { remainingSeconds, type Session } from './session.js';

/** Why a session's token is not handed out. */
export type SessionRefusal =
  | { readonly code: 'reauthorization_required' }
  | { readonly code: 'scope_missing'; readonly missingScopes: readonly string[] }
  | { readonly code: 'ttl_unsatisfiable'; readonly maxTtl: number };

/**
 * Null where the token satisfies the wish; else why not, in the order of the contract. What is too short goes on getting
 * shorter, so that only the user's next visit helps; unless no visit could bring a token that lives as long. Pure.
 */
export function judge(session: Session, wish: Wish): SessionRefusal | null {
  const remaining = remainingSeconds(session);
  const maxTtl = Math.floor((session.lifetimeS ?? Infinity) * HONOURED_PART);
  const isOver = remaining <= 0 || session.reportedAt !== null;
  if (isOver || (remaining < wish.minTtl && wish.minTtl <= maxTtl))
    return { code: 'reauthorization_required' };

  const missingScopes = wish.scopes.filter((scope) => !session.scopes.includes(scope));
  if (missingScopes.length > 0) return { code: 'scope_missing', missingScopes };
  return wish.minTtl > maxTtl ? { code: 'ttl_unsatisfiable', maxTtl } : null;
}
