import { resourceOf, type Caller } from '../http/caller.js';
import type { TokenProvider } from '../provider/token-provider.js';
import { isReported } from './connection.js';
import type { TokenInHand } from './token-in-hand.js';

/** A token that satisfies the caller. */
export interface Served<Token extends TokenInHand = TokenInHand> {
  readonly connection: Token;
  readonly provider: TokenProvider;
  readonly stale: boolean;
  readonly warning: string | null;
  /** What the time is, by the database's clock. */
  readonly nowMs: number;
}

export const SUSPECT =
  'This token was refused with a 401 and nothing renews it; it is served until an operator keeps another.';

/** What is handed out, with the reason why it is not what it should be. */
export function served<Token extends TokenInHand>(
  provider: TokenProvider,
  connection: Token,
  stale: boolean,
  warning: string | null,
  nowMs: number,
): Served<Token> {
  const reason = stale
    ? `The last renewal failed (${connection.lastError}); this token is still valid.`
    : isReported(connection) && !provider.renews
      ? SUSPECT
      : null;
  return { connection, provider, stale, warning: warning ?? reason, nowMs };
}

/** A personal token is its person's right, and no other's: it takes a permission of its own. */
export function mayHavePersonal(connection: TokenInHand, caller: Caller): boolean {
  return (
    connection.credentialType !== 'personal' ||
    caller.permits('token:read-personal', connection.resource ?? resourceOf(connection))
  );
}
