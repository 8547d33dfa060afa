import { Client } from 'pg';
import type { DatabaseAddress } from './address.js';
import { clientConfig } from './data-source.js';
import { explainRefusal } from './refusal.js';

/**
 * Every grant may have been spent since the backup was made. A lease that nobody came back from says just that, and the
 * engine knows what to do about it: where a refresh token may be sent once only, the next try is put off as long as the
 * token in hand allows, and a refusal then is no sign of anything else.
 */
const MARK = `
  update connections set lease_owner = 'restored from a backup', lease_until = broker_now(),
    lease_epoch = lease_epoch + 1, updated_at = broker_now()
  where sealed_grant is not null and status in ('active', 'suspect', 'paused')`;

/** Marks every grant as one of which nobody knows whether it was spent; how many those are. */
export async function markRestored(address: DatabaseAddress): Promise<number> {
  const client = new Client({ ...clientConfig(address), application_name: 'token-broker after-restore' });
  client.on('error', () => undefined);
  try {
    await client.connect();
    // The role may have a limit, which is for the service.
    await client.query('begin; set local statement_timeout = 0');
    const { rowCount } = await client.query(MARK);
    await client.query('commit');
    return rowCount ?? 0;
  } catch (error) {
    throw explainRefusal(error, address);
  } finally {
    await client.end();
  }
}
