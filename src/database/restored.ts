import { Client } from 'pg';
import { clientConfig, type DatabaseAddress } from './data-source.js';
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
  try {
    await client.connect();
    return (await client.query(MARK)).rowCount ?? 0;
  } catch (error) {
    throw explainRefusal(error);
  } finally {
    await client.end();
  }
}
