import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { ClientDirectory } from '../../src/clients/client-directory.js';
import { hashOf, keyIdOf } from '../../src/clients/service-key.js';
import { Notifications } from '../../src/database/notifications.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { eventually } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

/** Held by a test; every statement that looks for a client's end waits for it, and goes on with what was there before. */
const GATE = 4711;

describe('a client that is deleted while nobody can hear of it', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
    await broker.broker.app.get(RenewalSchedule).stop();
  });

  it('is not remembered by a look-up that began before, and ends when all can be heard again', async () => {
    const { id, key } = await world.client(broker, 'token:read konnect/companies/42');
    const use = async (): Promise<number> =>
      (await world.api(broker, 'GET', '/v1/tokens/konnect/companies/42', undefined, key)).status;
    const notifications = broker.broker.app.get(Notifications);
    await world.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'token-broker listen'`,
    );
    await eventually(() => !notifications.isLive());
    const holder = new Client({ connectionString: world.databaseUrl });
    await holder.connect();
    await holder.query('select pg_advisory_lock($1)', [GATE]);
    await world.sql(
      `create or replace function broker_now() returns timestamptz language plpgsql volatile as
       $$ begin perform pg_advisory_lock_shared(${GATE}); perform pg_advisory_unlock_shared(${GATE});
          return statement_timestamp(); end $$`,
    );
    const begun = use();
    await eventually(async () => (await waiting()) > 0);
    await holder.query('update clients set deleted_at = statement_timestamp() where id = $1', [id]);
    await eventually(() => notifications.isLive());
    await holder.end();
    await begun;
    await world.advance(0);
    expect(broker.broker.app.get(ClientDirectory).knownKey(keyIdOf(key) ?? '', hashOf(key))).toBeUndefined();
    expect(await use()).toBe(401);
  });

  const waiting = async (): Promise<number> =>
    (await world.sql(`select from pg_locks where locktype = 'advisory' and objid = ${GATE} and not granted`))
      .length;
});
