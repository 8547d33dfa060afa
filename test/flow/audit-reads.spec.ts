import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ask, eventually, type Answer, type Json } from '../support/http.js';
import { Scrape } from '../support/metrics.js';
import { beginSession } from '../support/sessions.js';
import { trailOf } from '../support/trail.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let reader: { id: string; key: string };
let connectionId: unknown;

beforeAll(async () => {
  broker = await world.local();
  reader = await world.client(
    broker,
    ...['token:read', 'token:report'].map((action) => `${action} konnect/companies/**`),
    'token:read-session fynd/companies/42',
  );
  connectionId = (await world.keepKonnect(broker, '42')).body['id'];
});

/** A new minute, so that nothing is folded into what another test has read. */
beforeEach(() => world.advance(60));

const read = (path = 'konnect/companies/42', from: { api: string } = broker): Promise<Answer> =>
  world.api(from, 'GET', `/v1/tokens/${path}`, undefined, reader.key);
const since = async (): Promise<Date> =>
  (await world.sql<{ now: Date }>('select broker_now() as now'))[0]?.now ?? new Date();
/** What the reader has done from then on. */
const ofReader = (from: Date, condition = 'true', brokers = [broker]): Promise<Json[]> =>
  trailOf(world, brokers, `actor = $1 and at >= $2::timestamptz - interval '1 s' and ${condition}`, [
    reader.id,
    from,
  ]);

describe('a token that is handed out', () => {
  it('is an event with its version and fingerprint, who got it, and until when it is good', async () => {
    const from = await since();
    const { headers, body } = await read();
    const [row] = await world.sql<Json>('select * from connections where id = $1', [connectionId]);
    expect(await ofReader(from)).toEqual([
      {
        id: expect.any(String),
        at: expect.any(Date),
        last_at: expect.any(Date),
        count: 1,
        actor: reader.id,
        action: 'token:read',
        outcome: 'allowed',
        resource: 'konnect/companies/42',
        connection_id: connectionId,
        token_version: body['version'],
        token_fingerprint: row?.['token_fingerprint'],
        token_expires_at: new Date(String(body['expires_at'])),
        source_ip: '127.0.0.1',
        key_id: reader.key.split('_')[1],
        request_id: headers.get('x-request-id'),
        reason: null,
      },
    ]);
  });

  it('again within the minute counts on, and in the next is another event', async () => {
    const from = await since();
    for (let round = 0; round < 5; round += 1) await read();
    const [first, ...none] = await ofReader(from);
    expect([first?.['count'], none]).toEqual([5, []]);
    // Written already, and counted on all the same.
    await read();
    expect((await ofReader(from)).map(({ id, count }) => [id, count])).toEqual([[first?.['id'], 6]]);
    await world.advance(61);
    await read();
    expect((await ofReader(from)).map(({ count }) => count)).toEqual([6, 1]);
  });

  it('is its own event by each of caller, version and replica', async () => {
    const from = await since();
    const other = await world.local();
    await read();
    await world.api(broker, 'GET', '/v1/tokens/konnect/companies/42');
    await read('konnect/companies/42', other);
    await world.api(broker, 'POST', `/v1/connections/${String(connectionId)}/renew`);
    await read();
    expect((await ofReader(from, 'true', [broker, other])).map((event) => event['token_version'])).toEqual([
      1, 1, 2,
    ]);
    const admins = await trailOf(world, [], `actor = 'admin' and action = 'token:read' and at >= $1`, [from]);
    expect(admins).toHaveLength(1);
  });

  it('is written within a second, whether or not anybody asks', async () => {
    const from = await since();
    await read();
    const begun = performance.now();
    await eventually(
      async () =>
        (await world.sql('select 1 from audit_events where actor = $1 and at >= $2', [reader.id, from]))
          .length > 0,
    );
    expect(performance.now() - begun).toBeLessThan(1_000);
  });

  it("names the company where its token stood in for a location's, and the location where it did not", async () => {
    await world.keepKonnect(broker, '42/locations/7');
    const from = await since();
    await read('konnect/companies/42/locations/7?level=location_then_company');
    await read('konnect/companies/42/locations/8?level=location_then_company');
    expect((await ofReader(from)).map(({ resource }) => resource).sort()).toEqual([
      'konnect/companies/42',
      'konnect/companies/42/locations/7',
    ]);
  });

  it('in answer to a report is one, too', async () => {
    const from = await since();
    const { body } = await world.api(
      broker,
      'POST',
      '/v1/tokens/konnect/companies/42/report',
      { version: 1, status: 401 },
      reader.key,
    );
    expect(await ofReader(from)).toEqual([
      expect.objectContaining({ action: 'token:report', outcome: 'allowed', token_version: body['version'] }),
    ]);
  });

  it("of a session is one by the session's own token", async () => {
    const { id } = await beginSession(world, broker, { companyId: '42' });
    const { id: another } = await beginSession(world, broker, { companyId: '42' });
    const from = await since();
    for (const session of [id, another, id]) await read(`fynd/sessions/${session}?company_id=42`);
    const events = await ofReader(from);
    expect(events.map(({ count }) => count).sort()).toEqual([1, 2]);
    expect(new Set(events.map((event) => event['token_fingerprint'])).size).toBe(2);
    expect(events[0]).toMatchObject({
      action: 'token:read-session',
      resource: 'fynd/companies/42',
      connection_id: null,
      token_version: 1,
    });
  });
});

describe('an event', () => {
  it('holds no token, no key and no session', async () => {
    const { id: session } = await beginSession(world, broker, { companyId: '42' });
    const { body } = await read();
    await read(`fynd/sessions/${session}?company_id=42`);
    const trail = JSON.stringify(await trailOf(world, [broker]));
    expect(trail).toContain(reader.id);
    for (const secret of [String(body['access_token']), reader.key, reader.key.slice(-43), session])
      expect(trail).not.toContain(secret);
  });

  it('is written also where a proxy passes on what is no address', async () => {
    const behind = await world.local({ TRUSTED_PROXIES: '127.0.0.1' });
    const from = await since();
    for (const address of ['not an address', 'fe80::1%eth0', '203.0.113.9']) {
      await ask('GET', `${behind.api}/v1/tokens/konnect/companies/42`, {
        authorization: `Bearer ${reader.key}`,
        'x-forwarded-for': address,
      });
    }
    const events = await ofReader(from, 'true', [behind]);
    expect(events.map((event) => event['source_ip']).sort()).toEqual(['203.0.113.9', 'fe80::1', null]);
  });
});

describe('a token that is not handed out', () => {
  it('is a failure with its code, folded as reads are', async () => {
    const from = await since();
    for (let round = 0; round < 3; round += 1) {
      await read('konnect/companies/404');
      await read('konnect/companies/42?min_ttl=3600');
    }
    await read('nowhere/companies/1');
    expect(
      (await ofReader(from))
        .map((event) => [event['outcome'], event['reason'], event['resource'], event['count']])
        .sort(),
    ).toEqual([
      ['denied', 'forbidden', 'nowhere/companies/1', 1],
      ['failed', 'connection_not_found', 'konnect/companies/404', 3],
      ['failed', 'ttl_unsatisfiable', 'konnect/companies/42', 3],
    ]);
  });

  it('for want of a permission stands alone each time', async () => {
    const from = await since();
    for (let round = 0; round < 3; round += 1) expect((await read('fynd/companies/42')).status).toBe(403);
    const events = await ofReader(from);
    expect(events).toHaveLength(3);
    expect(new Set(events.map((event) => event['request_id'])).size).toBe(3);
    expect(events[0]).toMatchObject({
      action: 'token:read',
      outcome: 'denied',
      count: 1,
      reason: 'forbidden',
    });
  });

  it('to nobody at all is counted, and no event', async () => {
    const from = await since();
    const before = (await Scrape.of(broker)).value('unauthenticated_total');
    await world.api(broker, 'GET', '/v1/tokens/konnect/companies/42', undefined, 'test-secret-of-nobody');
    expect((await Scrape.of(broker)).value('unauthenticated_total')).toBe((before ?? 0) + 1);
    expect(await trailOf(world, [broker], 'at >= $1', [from])).toEqual([]);
  });
});
