import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { eventually } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('the engine', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states, credential_proofs');
  });

  const report = (version: number): ReturnType<typeof world.api> =>
    world.api(broker, 'POST', '/v1/tokens/fynd/companies/42/report', { version, status: 401 });

  it('skips a connection that somebody else has locked, and renews the others', async () => {
    for (const company of ['1', '2', '3']) await world.keepKonnect(broker, company);
    // Due like the others, but only in a moment, when it is locked.
    await world.sql(
      `update connections set renew_at = broker_now() - interval '1 s',
              lease_until = case when company_id = '1' then broker_now() + interval '300 ms' end`,
    );
    const locker = new Client({ connectionString: world.databaseUrl });
    await locker.connect();
    await locker.query(`begin; select 1 from connections where company_id = '1' for update`);
    await world.sql(
      `update connections set token_version = 1, renew_at = broker_now() + interval '600 ms' where company_id <> '1'`,
    );
    await new Promise((resolve) => setTimeout(resolve, 700));
    try {
      void broker.broker.app.get(RenewalSchedule).tick();
      await eventually(async () => {
        const renewed = await world.sql(`select 1 from connections where token_version = 2`);
        return renewed.length === 2;
      });
    } finally {
      await locker.end();
    }
  });

  it('probes at once after a lost answer, where the token that was to bridge the time is reported', async () => {
    await world.install(broker, '42');
    await world.simulator.fault({ provider: 'fynd', operation: 'renew', lost_reply: true, times: 1 });
    await world.sql(`update connections set renew_at = broker_now() - interval '1 s'`);
    await world.settle(broker);
    const [lost] = await world.sql('select unknown_outcome, token_version from connections');
    expect(lost).toEqual({ unknown_outcome: 'no_answer', token_version: 1 });
    expect((await report(1)).body).toMatchObject({ version: 2, stale: false });
  });

  it('never tells a caller to come back after the end of its token', async () => {
    await world.keepKonnect(broker, '7');
    await world.sql(
      `update connections set status = 'reauthorization_required', consecutive_failures = 4, last_error = 'credential_refused',
              expires_at = broker_now() + interval '10 minutes', renew_at = broker_now() + interval '1 hour'`,
    );
    const { body } = await world.api(broker, 'GET', '/v1/tokens/konnect/companies/7');
    expect(body).toMatchObject({ stale: true, refresh_after: body['expires_at'] });
  });

  it('takes a bare 401 to an offered credential for a refusal, and counts it', async () => {
    await world.simulator.fault({
      provider: 'konnect',
      operation: 'token',
      status: 401,
      body: { message: 'no' },
    });
    const { status, body } = await world.keepKonnect(broker, '8');
    expect([status, body['code']]).toEqual([422, 'credential_rejected']);
    expect(await world.sql('select refused from credential_proofs')).toEqual([{ refused: true }]);
  });

  it('keeps an answer although the database had become closed to it meanwhile', async () => {
    await world.install(broker, '42');
    await world.simulator.settings('fynd', { rotation: 'strict' });
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      hold_until_released: true,
      times: 1,
    });
    const reported = report(1);
    await eventually(async () => Number((await world.simulator.ledger()).counters['held']) === 1);
    const database = new URL(world.databaseUrl).pathname.slice(1);
    // Connections that are there are cut, and new ones refused with a code that is not about the network.
    const server = new URL(world.databaseUrl);
    server.pathname = '/postgres';
    const admin = new Client({ connectionString: server.href });
    await admin.connect();
    await admin.query(`alter database "${database}" allow_connections false`);
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = '${database}' and application_name = 'token-broker'`,
    );
    await world.simulator.control('POST', 'release');
    expect((await reported).body).toMatchObject({ version: 2, stale: true });
    await admin.query(`alter database "${database}" allow_connections true`);
    await admin.end();
    // Not the only row by then: those of the tests before, which the broker remembers, are written again as well.
    await eventually(async () => {
      const kept = `select 1 from connections where provider = 'fynd' and company_id = '42' and token_version = 2`;
      return (await world.sql(kept)).length === 1;
    });
  });
});
