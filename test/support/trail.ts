import { AuditFlush } from '../../src/audit/audit-flush.js';
import type { Json } from './http.js';
import type { LocalBroker, World } from './world.js';

/** What these brokers have done, as it lies in the table, oldest first; `condition` is SQL on it. */
export async function trailOf(
  world: World,
  brokers: readonly LocalBroker[],
  condition = 'true',
  values: unknown[] = [],
): Promise<Json[]> {
  for (const { broker } of brokers) await broker.app.get(AuditFlush).flush();
  return world.sql<Json>(
    `select id, at, last_at, count, actor, action, outcome, resource, connection_id, token_version, token_fingerprint,
       token_expires_at, host(source_ip) as source_ip, key_id, request_id, reason
     from audit_events where ${condition} order by at, id`,
    values,
  );
}
