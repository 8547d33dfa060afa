import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { issueKey } from '../../src/clients/service-key.js';
import { Notifications } from '../../src/database/notifications.js';
import { ask, eventually, type Answer } from '../support/http.js';
import { Scrape } from '../support/metrics.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const ATTACKER = '203.0.113.7';
const PROXY = '10.1.2.3';

const world = useWorld();
let broker: LocalBroker;
/** The clients whose changes the broker has heard of. */
const heard: string[] = [];

beforeAll(async () => {
  broker = await world.local({ TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8' });
  broker.broker.app.get(Notifications).onChange('clients', (id) => heard.push(id));
});
beforeEach(() => world.advance(11));

/** A call through two hops of ours; what stands before them is what the sender wrote, and where it came from. */
const call = (key: string, forwarded: string, at = broker): Promise<Answer> =>
  ask('GET', `${at.api}/v1/connections`, {
    authorization: `Bearer ${key}`,
    'x-forwarded-for': `${forwarded}, ${PROXY}`,
  });
const madeUp = (): string => issueKey().key.reveal();

/** Statuses, by how often each came. */
async function tryKeys(times: number, forwarded: () => string): Promise<Record<number, number>> {
  const counts: Record<number, number> = {};
  for (let tried = 0; tried < times; tried += 1) {
    const { status } = await call(madeUp(), forwarded());
    counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}

async function makeKey(): Promise<string> {
  const permissions = [{ action: 'connection:read', resource: '**' }];
  const { body } = await world.api(broker, 'POST', '/v1/clients', { name: 'service', permissions });
  return String(body['key']);
}

describe('keys that nobody here knows', () => {
  it('are looked up sixty times in ten seconds for one address, and then not at all', async () => {
    expect(await tryKeys(60, () => ATTACKER)).toEqual({ 401: 60 });
    const { status, headers, body } = await call(madeUp(), ATTACKER);
    const wait = String(body['retry_after']);
    expect([status, body['code'], headers.get('retry-after')]).toEqual([429, 'rate_limited', wait]);
    expect([headers.get('ratelimit-policy'), headers.get('ratelimit')]).toEqual([
      '"unknown-credentials";q=60;w=10',
      `"unknown-credentials";r=0;t=${wait}`,
    ]);
    const counted = (await Scrape.of(broker)).value('requests_limited_total{limit="unknown_credentials"}');
    expect(counted).toBe(1);
    await world.advance(11);
    expect((await call(madeUp(), ATTACKER)).status).toBe(401);
  });

  it('are not counted for another address, whatever the sender writes before its own', async () => {
    let number = 0;
    const spoofed = (): string => `198.51.100.${(number += 1)}, 10.9.9.9, ${ATTACKER}`;
    expect(await tryKeys(61, spoofed)).toEqual({ 401: 60, 429: 1 });
    expect((await call(madeUp(), '203.0.113.8')).status).toBe(401);
    expect((await call(madeUp(), '198.51.100.1')).status).toBe(401);
  });

  it('give nobody a new address where no proxy is trusted', async () => {
    const alone = await world.local();
    let number = 0;
    const statuses = new Set<number>();
    for (let tried = 0; tried < 61; tried += 1) {
      statuses.add((await call(madeUp(), `203.0.113.${(number += 1)}`, alone)).status);
    }
    expect(statuses).toEqual(new Set([401, 429]));
  });

  it('are as nothing where they could be no key at all: those are looked up nowhere', async () => {
    for (let tried = 0; tried < 70; tried += 1) {
      expect((await call('test-secret-no-key', ATTACKER)).status).toBe(401);
    }
    expect((await call(madeUp(), ATTACKER)).status).toBe(401);
  });
});

describe('a key that was refused', () => {
  /** One that was somebody's, at a replica that has never seen it. */
  async function retire(): Promise<string> {
    const { id, key } = await world.client(broker);
    expect((await world.api(broker, 'DELETE', `/v1/clients/${id}`)).status).toBe(204);
    await eventually(() => heard.filter((each) => each === id).length === 2);
    return key;
  }

  it('is not looked up again for ten seconds: whoever goes on sending it takes nothing from its neighbours', async () => {
    const retired = await retire();
    for (let sent = 0; sent < 100; sent += 1) expect((await call(retired, ATTACKER)).status).toBe(401);
    expect(await tryKeys(60, () => ATTACKER)).toEqual({ 401: 59, 429: 1 });
    expect((await call(retired, ATTACKER)).status).toBe(401);
    await world.advance(11);
    expect(await tryKeys(60, () => ATTACKER)).toEqual({ 401: 60 });
    expect((await call(retired, ATTACKER)).status).toBe(429);
  });

  it('is one look-up for all who send it at once', async () => {
    const key = madeUp();
    const answers = await Promise.all(Array.from({ length: 100 }, () => call(key, ATTACKER)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    expect(await tryKeys(60, () => ATTACKER)).toEqual({ 401: 59, 429: 1 });
  });

  it('is looked up again once any client has changed', async () => {
    const key = madeUp();
    const [, id = ''] = key.split('_');
    const { id: owner } = await world.client(broker, 'connection:read **');
    await eventually(() => heard.includes(owner));
    expect((await call(key, ATTACKER)).status).toBe(401);
    await world.sql(
      `insert into client_keys (id, client_id, hash, created_by, expires_at)
       values ($1, $2, sha256($3::text::bytea), 'test', broker_now() + interval '1 hour')`,
      [id, owner, key],
    );
    expect((await call(key, ATTACKER)).status).toBe(401);
    await world.sql(`select pg_notify('clients', $1)`, [owner]);
    const heardAt = performance.now();
    await eventually(async () => (await call(key, ATTACKER)).status === 200);
    expect(performance.now() - heardAt).toBeLessThan(5_000);
  });
});

describe('a key that the replica knows', () => {
  it('is never refused for its address', async () => {
    const key = await makeKey();
    expect((await call(key, ATTACKER)).status).toBe(200);
    expect(await tryKeys(61, () => ATTACKER)).toEqual({ 401: 60, 429: 1 });
    expect((await call(key, ATTACKER)).status).toBe(200);
    expect((await call(ADMIN_KEY, ATTACKER)).status).toBe(200);
  });

  it('is one from its first use on, which waits where strangers at its address have tried too many', async () => {
    const key = await makeKey();
    const elsewhere = await world.local({ TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8' });
    for (let tried = 0; tried < 60; tried += 1) await call(madeUp(), ATTACKER, elsewhere);
    expect((await call(key, ATTACKER, elsewhere)).status).toBe(429);
    expect((await call(key, '203.0.113.8', elsewhere)).status).toBe(200);
    expect((await call(key, ATTACKER, elsewhere)).status).toBe(200);
  });

  it.each([
    ['a key of a client', `tbk_${'0'.repeat(16)}_test-secret-${'A'.repeat(31)}`],
    ['a workload’s token', `test-secret-${'A'.repeat(16)}.${'A'.repeat(16)}.${'A'.repeat(16)}`],
  ])('is also one of the admin that looks like %s', async (_, key) => {
    const other = await world.local({ ADMIN_KEY: key });
    expect((await call(key, ATTACKER, other)).status).toBe(200);
    expect((await call(key.replace(/A$/, 'B'), ATTACKER, other)).status).toBe(401);
  });

  it('stands in the trail with the address that it came from, and no other', async () => {
    await ask(
      'POST',
      `${broker.api}/v1/clients`,
      { authorization: `Bearer ${ADMIN_KEY}`, 'x-forwarded-for': `192.0.2.1, 203.0.113.77, ${PROXY}` },
      { name: 'traced', permissions: [] },
    );
    const rows = await world.sql<{ ip: string }>(
      `select distinct source_ip::text as ip from audit_events where source_ip::text ~ '192.0.2.1|203.0.113.77'`,
    );
    expect(rows.map(({ ip }) => ip.replace('/32', ''))).toEqual(['203.0.113.77']);
  });
});

describe('an address over its limit', () => {
  /** Milliseconds until the answer. */
  const timed = async (key: string): Promise<{ status: number; ms: number }> => {
    const began = performance.now();
    const { status } = await call(key, ATTACKER);
    return { status, ms: performance.now() - began };
  };

  it('is answered late, whatever it sends that is no key, and whoever is known there is not', async () => {
    const key = await makeKey();
    await call(key, ATTACKER);
    const refused = madeUp();
    await call(refused, ATTACKER);
    const early = await timed('test-secret-no-key');
    expect(early.ms).toBeLessThan(200);
    await tryKeys(59, () => ATTACKER);
    const late = await Promise.all([madeUp(), refused, 'test-secret-no-key'].map(timed));
    expect(late.map(({ status }) => status)).toEqual([429, 401, 401]);
    // A timer may fire a little early.
    for (const { ms } of late) expect(ms).toBeGreaterThan(240);
    const known: number[] = [];
    for (let count = 0; count < 5; count += 1) known.push((await timed(key)).ms, (await timed(ADMIN_KEY)).ms);
    // The quickest, since anything may keep this machine busy for a moment.
    expect(Math.min(...known)).toBeLessThan(200);
    expect(
      (await Promise.all(Array.from({ length: 5 }, () => timed(key)))).map(({ status }) => status),
    ).toEqual(Array(5).fill(200));
  });
});
