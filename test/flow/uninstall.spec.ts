import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import { Cable } from '../support/cable.js';
import { ask, type Answer } from '../support/http.js';
import { Relay } from '../support/relay.js';
import { hint, proveAll, signature, signedHint } from '../support/uninstalls.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const relay = new Relay(() => world.simulator.url);
let broker: LocalBroker;
let companies = 6_000;

beforeAll(async () => {
  await relay.open();
  broker = await world.local({ FYND_BASE_URL: relay.url });
});
afterAll(() => relay.close());
beforeEach(async () => {
  await world.sql('truncate connections, online_sessions, uninstall_hints, provider_states');
  relay.reset();
});

const token = (companyId: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/fynd/companies/${companyId}`);

async function connect(): Promise<string> {
  const companyId = String(++companies);
  const url = `${broker.public}/fp/install?company_id=${companyId}&client_id=${API_KEY}`;
  await new Browser().follow(
    url,
    [broker.public, relay.url].map((address) => new URL(address).host),
  );
  expect((await token(companyId)).status).toBe(200);
  relay.calls.length = 0;
  return companyId;
}

const statusOf = async (companyId: string): Promise<string | undefined> =>
  (
    await world.sql<{ status: string }>('select status from connections where company_id = $1', [companyId])
  )[0]?.status;
/** How often the provider was asked whether a token lives. */
const asked = (): number => relay.calls.filter((call) => call.startsWith('GET /service/platform/')).length;

describe('a hint of an uninstall', () => {
  it('is always answered the same, so that it tells nobody who is a customer', async () => {
    const companyId = await connect();
    await world.simulator.uninstall(companyId);
    const gone = await connect();
    await world.simulator.uninstall(gone);
    const bodies: unknown[] = [
      { company_id: companyId },
      { company_id: gone, client_id: API_KEY },
      { company_id: gone },
      { company_id: 'nobody' },
      ...[{ company_id: '4 2' }, { company_id: '..' }, { company_id: 'x'.repeat(65) }, { company_id: -1 }],
      ...[{ company_id: 1.5 }, { company_id: null }, { company_id: [companyId] }, { company_id: { a: 1 } }],
      { company_id: companyId, client_id: 'somebody-else' },
      { company_id: companyId, client_id: 7 },
      ...['{', 'company_id=1', '{"__proto__":{"company_id":1}}'],
      ...[{}, [], null, 7, '"x"', undefined, ''],
    ];
    const answers: unknown[] = [];
    for (const body of bodies) {
      const { status, text, headers } = await hint(broker, body);
      const told = [...headers].filter(([name]) => !['date', 'x-request-id'].includes(name));
      answers.push([status, text, told]);
    }
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toEqual([202, '{"status":"accepted"}', expect.anything()]);
  });

  it('is answered the same while the database is away', async () => {
    const cable = new Cable(new URL(world.databaseUrl));
    const other = await world.local({ DATABASE_URL: await cable.open(), FYND_BASE_URL: relay.url });
    cable.cut();
    const { status, body } = await hint(other, { company_id: await connect() });
    expect([status, body]).toEqual([202, { status: 'accepted' }]);
    cable.mend();
    await other.broker.stop();
    cable.close();
  });

  it('of a company that is not connected, or that is none, writes nothing and asks nobody', async () => {
    const companyId = await connect();
    const { body: connection } = await world.api(broker, 'GET', `/v1/connections?company_id=${companyId}`);
    const [{ id }] = connection['items'] as [{ id: string }];
    await world.api(broker, 'DELETE', `/v1/connections/${id}`);
    for (const company_id of [companyId, 'nobody', 'a b', 7]) await hint(broker, { company_id });
    await signedHint(broker, { company_id: 'nobody' });
    expect(await world.sql('select * from uninstall_hints')).toEqual([]);
    expect(relay.calls).toEqual([]);
  });

  it('is for the extension that it names, if it names one', async () => {
    const companyId = await connect();
    await world.simulator.uninstall(companyId);
    await hint(broker, { company_id: companyId, client_id: 'somebody-else' });
    expect(await world.sql('select * from uninstall_hints')).toEqual([]);
    await hint(broker, { company_id: companyId, client_id: API_KEY });
    await proveAll(world, broker);
    expect(await statusOf(companyId)).toBe('revoked');
  });

  it('may have its company as a number', async () => {
    const companyId = await connect();
    await world.simulator.uninstall(companyId);
    await hint(broker, { company_id: Number(companyId) });
    await proveAll(world, broker);
    expect(await statusOf(companyId)).toBe('revoked');
  });

  it('is not believed: who still has the extension keeps it', async () => {
    const companyId = await connect();
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect(asked()).toBe(1);
    expect(await token(companyId)).toMatchObject({ status: 200, body: { version: 1, stale: false } });
  });
});

describe('hints without a signature', () => {
  it('are proven once in ten minutes, and one in between is proven later, not lost', async () => {
    const companyId = await connect();
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    await world.simulator.uninstall(companyId);
    await hint(broker, { company_id: companyId });
    await world.advance(590);
    await proveAll(world, broker);
    expect([asked(), await statusOf(companyId)]).toEqual([1, 'active']);
    await world.advance(11);
    await proveAll(world, broker);
    expect([asked(), await statusOf(companyId)]).toEqual([2, 'revoked']);
  });

  it('hold up nobody else', async () => {
    const [one, two] = [await connect(), await connect()];
    await hint(broker, { company_id: one });
    await proveAll(world, broker);
    await world.simulator.uninstall(two);
    await hint(broker, { company_id: two });
    await proveAll(world, broker);
    expect([await statusOf(one), await statusOf(two)]).toEqual(['active', 'revoked']);
  });

  it('may come by the thousand: the provider is asked once now and once later', async () => {
    const companyId = await connect();
    const statuses = new Set<number>();
    for (let sent = 0; sent < 1_000; sent += 50) {
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => hint(broker, { company_id: companyId })),
      );
      for (const { status } of answers) statuses.add(status);
    }
    await proveAll(world, broker);
    expect([[...statuses], asked()]).toEqual([[202], 1]);
    await world.advance(601);
    await proveAll(world, broker);
    await world.advance(601);
    await proveAll(world, broker);
    expect([asked(), relay.calls.length]).toEqual([2, 2]);
    expect(await world.sql('select count(*)::int as rows from uninstall_hints')).toEqual([{ rows: 1 }]);
  });
});

describe('a signature', () => {
  it('has a hint proven at once, however short the time since the last proof', async () => {
    const companyId = await connect();
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    await hint(broker, { company_id: companyId });
    await world.simulator.uninstall(companyId);
    await signedHint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect([asked(), await statusOf(companyId)]).toEqual([2, 'revoked']);
  });

  it('is no reason to believe it without asking', async () => {
    const companyId = await connect();
    await signedHint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect([asked(), await statusOf(companyId)]).toEqual([1, 'active']);
  });

  it('does not let a replay ask without end', async () => {
    const companyId = await connect();
    for (let sent = 0; sent < 20; sent += 1) {
      await signedHint(broker, { company_id: companyId });
      await proveAll(world, broker);
    }
    expect(asked()).toBe(1);
    await world.advance(10);
    await proveAll(world, broker);
    await proveAll(world, broker);
    expect(asked()).toBe(2);
  });

  it('that the simulator makes is taken, over the raw body as it came', async () => {
    const companyId = await connect();
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    const notify = `${broker.public}/fp/uninstall`;
    const told = await world.simulator.uninstall(companyId, { notify, sign: true });
    expect(told.body).toMatchObject({ uninstalled: true, notify_status: 202 });
    await proveAll(world, broker);
    expect(await statusOf(companyId)).toBe('revoked');
  });

  it.each([
    ['another secret', (text: string) => signature(text, 'test-secret-of-another')],
    ['another body', (text: string) => signature(`${text} `)],
    ['none at all', () => ''],
    ['half of it', (text: string) => signature(text).slice(0, 32)],
    ['its bytes in base64', (text: string) => Buffer.from(signature(text), 'hex').toString('base64')],
    ['a prefix', (text: string) => `sha256=${signature(text)}`],
  ])('that is wrong counts as none: %s', async (_, sign) => {
    const companyId = await connect();
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    const text = JSON.stringify({ company_id: companyId });
    const { status } = await hint(broker, text, { 'x-fp-signature': sign(text) });
    await proveAll(world, broker);
    expect([status, asked()]).toEqual([202, 1]);
  });

  it('given twice counts as none', async () => {
    const companyId = await connect();
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    const text = JSON.stringify({ company_id: companyId });
    const headers = { 'x-fp-signature': `${signature(text)}, ${signature(text)}` };
    expect((await ask('POST', `${broker.public}/fp/uninstall`, headers, text)).status).toBe(202);
    await proveAll(world, broker);
    expect(asked()).toBe(1);
  });
});
