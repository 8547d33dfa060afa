import type { Run } from '../database/database.js';
import type { Connection } from './connection.js';
import { tokenValues, type AdoptedGrant } from './kept-grant.js';
import { OUTSIDE_SQL } from './outside-change.sql.js';

/** Takes a grant from outside into its row, which is locked. */
export async function adoptRow(run: Run, id: string, grant: AdoptedGrant): Promise<Connection> {
  const statement = grant.token ? OUTSIDE_SQL.adoptToken : OUTSIDE_SQL.adoptGrant;
  const [connection] = await run<Connection>(statement, adoptedValues(id, grant));
  if (!connection) throw new Error('the row that was just locked is gone');
  return connection;
}

/** The values of `adoptToken` and `adoptGrant`. */
function adoptedValues(id: string, grant: AdoptedGrant): unknown[] {
  const { sealedGrant, credentialFingerprint, rotateAfterS, scopes, paused, credentialType, token } = grant;
  const values = [id, sealedGrant, credentialFingerprint, rotateAfterS, scopes, paused, credentialType];
  values.push(grant.sharedExternally);
  if (!token) return values;
  return [...values, ...tokenValues(token), token.expiresAt, token.minted ? token.lifetimeS : null];
}
