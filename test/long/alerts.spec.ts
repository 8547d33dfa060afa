import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditFlush } from '../../src/audit/audit-flush.js';
import { BufferBound } from '../../src/audit/buffer-bound.js';
import { Database } from '../../src/database/database.js';
import { Resealing } from '../../src/vault/resealing.js';
import { Cable } from '../support/cable.js';
import { ask, eventually, type Answer, type Json } from '../support/http.js';
import { Scrape } from '../support/metrics.js';
import { makeClosedKey } from '../support/keys.js';
import { ALERTS_FILE, readAlerts } from '../support/monitoring.js';
import { promtool, Watch } from '../support/promtool.js';
import { WebhookScene } from '../support/webhook-scene.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let cable: Cable;
let broker: LocalBroker;
/** May do what an operator does, so that nobody needs the admin key. */
let operator: string;
let watch: Watch;
const fired = new Set<string>();

beforeAll(async () => {
  cable = new Cable(new URL(world.databaseUrl));
  broker = await world.local({ DATABASE_URL: await cable.open(), DATABASE_POOL: '3' });
  world.stopTicking(broker);
  operator = (await world.client(broker, '* **')).key;
});

beforeEach(async () => {
  await world.settle(broker);
  await world.sql('truncate connections, provider_states');
  watch = new Watch();
  // Of what was done before, the admin key included, nothing is within an hour.
  await world.advance(4_000);
});

afterEach(async () => {
  cable.mend();
  await world.simulator.control('POST', 'reset');
});

afterAll(() => cable.close());

/** So many minutes of the broker's time, in each of which its calendar is worked on and somebody scrapes it. */
async function minutes(
  count: number,
  each: () => Promise<unknown> | undefined = () => world.settle(broker),
  scraped = broker,
): Promise<void> {
  for (let minute = 0; minute < count; minute += 1) {
    await world.advance(60);
    await each();
    watch.note((await Scrape.of(scraped)).text);
  }
}

const operate = (method: string, path: string, body?: unknown, key = operator): Promise<Answer> =>
  world.api(broker, method, path, body, key);

/** Not before the fault, and after it; not for another provider. */
async function fires(alert: string, labels: Record<string, string>): Promise<void> {
  const severity = readAlerts().find((each) => each.alert === alert)?.labels.severity ?? '';
  await watch.expect(alert, [{ severity, ...labels }]);
  fired.add(alert);
}

const OF_FYND = { namespace: 'fynd', provider: 'fynd' };
const refusing = (fault: Json): Promise<unknown> =>
  world.simulator.fault({ provider: 'fynd', operation: 'renew', ...fault });

it('the rules are what Prometheus takes', async () => {
  expect(await promtool('check', 'rules', ALERTS_FILE)).toContain(`${readAlerts().length} rules found`);
});

it('no alert fires while all is well', async () => {
  await world.install(broker, '42');
  await world.install(broker, '43');
  const { key } = (
    await operate('POST', '/v1/clients', {
      name: 'reader',
      permissions: [{ action: 'token:read', resource: 'fynd/companies/*' }],
    })
  ).body as { key: string };
  await minutes(90, async () => {
    await world.settle(broker);
    expect((await operate('GET', '/v1/tokens/fynd/companies/42', undefined, key)).status).toBe(200);
  });
  await watch.expect('.*', []);
});

describe('an alert fires', () => {
  it('where a wrong registration stops a provider', async () => {
    for (const companyId of ['42', '43']) await world.install(broker, companyId);
    await minutes(5);
    await watch.expect('TokenBrokerProviderStopped', []);
    await refusing({ status: 404 });
    await world.advance(2_600);
    await minutes(10);
    await fires('TokenBrokerProviderStopped', { ...OF_FYND, because: 'misconfigured' });
  });

  it('where an operator has paused a provider, and then where what is due is not renewed', async () => {
    await world.install(broker, '42');
    await minutes(2);
    await operate('POST', '/v1/providers/fynd/pause');
    await minutes(3);
    await fires('TokenBrokerProviderStopped', { ...OF_FYND, because: 'paused' });
    await watch.expect('TokenBrokerRenewalsOverdue', []);
    await world.advance(2_800);
    await minutes(8);
    await fires('TokenBrokerRenewalsOverdue', OF_FYND);
    await operate('POST', '/v1/providers/fynd/resume');
    await minutes(2);
    await watch.expect('TokenBroker(ProviderStopped|RenewalsOverdue)', []);
  });

  it('where renewals fail and a token is about to expire', async () => {
    for (const companyId of ['42', '43']) await world.install(broker, companyId);
    await refusing({ company_id: '43', status: 503 });
    await world.advance(2_200);
    await minutes(5);
    await watch.expect('TokenBrokerTokensExpiring', []);
    await minutes(15);
    await fires('TokenBrokerTokensExpiring', OF_FYND);
  });

  it('where a grant is perhaps refused, and where it surely is', async () => {
    for (const companyId of ['42', '43', '44']) await world.install(broker, companyId);
    await minutes(2);
    await watch.expect('TokenBroker(ConnectionsSuspect|GrantsDied)', []);
    const [one, other] = await world.sql<{ id: string }>('select id from connections order by company_id');
    await operate('POST', `/v1/connections/${one?.id}/renew`);
    await refusing({ company_id: '42', status: 401, body: {} });
    await operate('POST', `/v1/connections/${one?.id}/renew`);
    await minutes(4, () => undefined);
    await fires('TokenBrokerConnectionsSuspect', OF_FYND);
    await watch.expect('TokenBrokerGrantsDied', []);
    await refusing({ company_id: '43', status: 400, body: { error: 'invalid_grant' } });
    await operate('POST', `/v1/connections/${other?.id}/renew`);
    await minutes(2, () => undefined);
    await fires('TokenBrokerGrantsDied', OF_FYND);
  });

  it('where somebody uses the admin key', async () => {
    await minutes(12);
    await watch.expect('TokenBrokerAdminKeyUsed', []);
    await world.api(broker, 'GET', '/v1/providers');
    await minutes(2);
    await fires('TokenBrokerAdminKeyUsed', { namespace: 'fynd' });
    await minutes(12);
    await watch.expect('TokenBrokerAdminKeyUsed', []);
  });

  it('where the audit trail cannot be written', async () => {
    const { app } = broker.broker;
    const bound = app.get(BufferBound);
    const { rows } = bound;
    const callers = await Promise.all(
      [1, 2, 3].map(() => world.client(broker, 'token:read fynd/companies/1')),
    );
    for (const { key } of callers) await operate('GET', '/v1/tokens/fynd/companies/1', undefined, key);
    await app.get(AuditFlush).flush();
    await minutes(2);
    bound.rows = 40;
    cable.cut();
    for (const { key } of callers)
      for (let times = 0; times < 8; times += 1)
        expect((await operate('GET', '/v1/tokens/fynd/companies/2', undefined, key)).status).toBe(403);
    await minutes(1, () => undefined);
    await fires('TokenBrokerAuditQueueHalfFull', { namespace: 'fynd', instance: 'replica-1' });
    bound.rows = rows;
    cable.mend();
    await eventually(() =>
      app
        .get(AuditFlush)
        .flush()
        .then(() => bound.waiting === 0),
    );
    await minutes(8);
    await watch.expect('TokenBrokerAuditQueueHalfFull', []);
  });

  it('where the database is out of reach, so that nobody knows how it stands', async () => {
    await minutes(3);
    cable.cut();
    await minutes(5, () => undefined);
    await watch.expect('TokenBrokerBlind', []);
    await minutes(8, () => undefined);
    await fires('TokenBrokerBlind', {});
  });

  it('where nobody is scraped', async () => {
    await minutes(3);
    for (let minute = 0; minute < 12; minute += 1) watch.note(undefined);
    await watch.expect('TokenBrokerBlind', [{ severity: 'critical' }]);
  });

  it('where statements wait for a connection, since others wait for a lock', async () => {
    await minutes(4);
    await watch.expect('TokenBrokerDatabasePoolWaiting', []);
    await world.sql('begin');
    await world.sql('lock table connections in access exclusive mode');
    const asked: Promise<unknown>[] = [];
    await minutes(4, async () => {
      for (let times = 0; times < 8; times += 1) asked.push(operate('GET', '/v1/connections'));
      await eventually(() =>
        broker.broker.app
          .get(Database)
          .pools()
          .some(({ waiting }) => waiting > 0),
      );
    }).finally(() => world.sql('rollback'));
    await Promise.all(asked);
    await fires('TokenBrokerDatabasePoolWaiting', {
      namespace: 'fynd',
      instance: 'replica-1',
      pool: 'internal',
    });
  });

  it('where sellers begin to install, and none comes to the end', async () => {
    await minutes(2);
    for (let times = 0; times < 4; times += 1)
      await ask('GET', `${broker.public}/fp/install?company_id=4${times}&client_id=${API_KEY}`);
    await minutes(15);
    await fires('TokenBrokerInstallsUnfinished', OF_FYND);
    await world.install(broker, '42');
    await minutes(2);
    await watch.expect('TokenBrokerInstallsUnfinished', []);
  });

  it('where rows are not sealed anew, since somebody holds one, and where a data key is closed', async () => {
    for (const companyId of ['42', '43']) await world.install(broker, companyId);
    await minutes(20);
    await watch.expect('TokenBrokerRotationStuck', []);
    await world.sql('begin');
    await world.sql(`select 1 from connections where company_id = '42' for update`);
    await operate('POST', '/v1/keys/rotate');
    await minutes(20, () => undefined);
    await watch.expect('TokenBrokerRotationStuck', []);
    await minutes(15, () => undefined);
    await fires('TokenBrokerRotationStuck', { namespace: 'fynd' });
    await world.sql('rollback');
    await broker.broker.app.get(Resealing).look();
    await minutes(2);
    await watch.expect('TokenBrokerRotationStuck', []);
    const destroy = await makeClosedKey(world, broker);
    await minutes(4);
    await fires('TokenBrokerDataKeyClosed', { namespace: 'fynd' });
    await destroy();
  });

  it('where a receiver takes no webhooks, where that is given up, and where it wants no more', async () => {
    const scene = new WebhookScene(world);
    await scene.open();
    const pass = (count: number): Promise<void> => minutes(count, () => scene.lookOnce(), scene.broker);
    const OF_OPS = { namespace: 'fynd', receiver: 'ops' };
    await scene.keep();
    await pass(3);
    scene.ops.answer = () => 503;
    await scene.keep();
    await pass(1);
    await world.advance(3_400);
    await pass(3);
    await watch.expect('TokenBrokerWebhook.*', []);
    await pass(7);
    await fires('TokenBrokerWebhookFailing', OF_OPS);
    await world.advance(3 * 86_400);
    await pass(5);
    await fires('TokenBrokerWebhookDeadLetters', OF_OPS);
    scene.ops.answer = () => 410;
    await scene.keep();
    await pass(4);
    await fires('TokenBrokerWebhookDisabled', OF_OPS);
    await world.advance(4_000);
    await pass(7);
    await watch.expect('TokenBrokerWebhookFailing', []);
    await scene.close();
    await world.sql('delete from webhook_receivers');
  });

  it('where a service goes on with a key of the last quarter', async () => {
    const expires_at = new Date(world.clock.now().getTime() + 200 * 86_400_000).toISOString();
    await operate('POST', '/v1/clients', { name: 'old', permissions: [], expires_at });
    await minutes(8);
    await watch.expect('TokenBrokerKeyTooOld', []);
    await world.advance(91 * 86_400);
    await minutes(8);
    await fires('TokenBrokerKeyTooOld', { namespace: 'fynd', kind: 'service_key' });
  });
});

it('no alert is left that never fired here', () => {
  expect(
    readAlerts()
      .map(({ alert }) => alert)
      .filter((alert) => !fired.has(alert)),
  ).toEqual([]);
});
