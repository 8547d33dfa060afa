import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { AuditBuffer } from '../../src/audit/audit-buffer.js';
import { AuditFlush } from '../../src/audit/audit-flush.js';
import { BufferBound } from '../../src/audit/buffer-bound.js';
import type { AuditEvent } from '../../src/audit/audit-event.js';
import { AuditLines } from '../../src/audit/audit-lines.js';
import type { Settings } from '../../src/config/settings.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { Cable } from '../support/cable.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { Scrape } from '../support/metrics.js';
import { trailOf } from '../support/trail.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let reader: { id: string; key: string };

beforeAll(async () => {
  broker = await world.local();
  reader = await world.client(broker, 'token:read konnect/companies/**');
  await world.keepKonnect(broker, '42');
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

/** Holds the trail, so that whoever writes to it waits, until what comes back is called. */
async function holdTrail(): Promise<() => Promise<void>> {
  const holder = new Client({ connectionString: world.databaseUrl });
  await holder.connect();
  await holder.query('begin; lock table audit_events in access exclusive mode');
  return () => holder.end();
}
const isSomebodyWaiting = async (): Promise<boolean> =>
  (
    await world.sql(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
  ).length > 0;

describe('while nothing can be written', () => {
  it('tokens are refused once there is no room for a trace, and nothing that was served is lost', async () => {
    const cable = new Cable(new URL(world.databaseUrl));
    const cut = await world.local({ DATABASE_URL: await cable.open() });
    const { app } = cut.broker;
    // The admin key alone is known without a database.
    const readAway = (company: string): Promise<Answer> =>
      world.api(cut, 'GET', `/v1/tokens/konnect/companies/${company}`);
    // A quarter of them is the admin's.
    app.get(BufferBound).rows = 12;
    const from = await since();
    try {
      cable.cut();
      const codes: unknown[] = [];
      for (const company of ['1', '2', '3', '4', '5', '3'])
        codes.push((await readAway(company)).body['retry_after']);
      expect(codes).toEqual([5, 5, 5, 5, 5, 5]);
      expect(app.get(AuditBuffer).length).toBe(3);
      const refused = await readAway('6');
      expect([refused.status, refused.body['code']]).toEqual([503, 'store_unavailable']);
      expect(refused.body['detail']).toContain('audit trail');
      expect(refused.headers.get('retry-after')).toBe('5');
      const scrape = await Scrape.of(cut);
      expect([scrape.value('audit_refused_total'), scrape.value('audit_queue')]).toEqual([3, 3]);

      cable.mend();
      await eventually(() => app.get(AuditBuffer).length === 0);
      expect((await readAway('42')).status).toBe(200);
      const events = await trailOf(world, [cut], `outcome = 'failed' and at >= $1`, [from]);
      expect(events.map(({ resource, count }) => [resource, count])).toEqual([
        ['konnect/companies/1', 1],
        ['konnect/companies/2', 1],
        ['konnect/companies/3', 2],
      ]);
    } finally {
      cable.mend();
    }
    await cut.broker.stop();
    cable.close();
  });

  it('a token that is there is refused, too, unless it counts on in an event that is written', async () => {
    const full = await world.local();
    await read('konnect/companies/42', full);
    await trailOf(world, [full]);
    full.broker.app.get(BufferBound).rows = 0;
    expect((await read('konnect/companies/42', full)).status).toBe(200);
    await world.advance(60);
    const { status, body } = await read('konnect/companies/42', full);
    expect([status, body['code'], 'access_token' in body]).toEqual([503, 'store_unavailable', false]);
  });

  it('a caller that fills a quarter of the room is refused alone, until that is written', async () => {
    const busy = await world.client(broker, 'token:read konnect/companies/**');
    const bound = broker.broker.app.get(BufferBound);
    const { rows } = bound;
    const readAs = async (key: string, company: string): Promise<number> =>
      (await world.api(broker, 'GET', `/v1/tokens/konnect/companies/${company}`, undefined, key)).status;
    await readAs(busy.key, '42');
    await readAs(reader.key, '42');
    await trailOf(world, [broker]);
    bound.rows = 8;
    const release = await holdTrail();
    try {
      const statuses: number[] = [];
      for (const company of ['11', '12', '13', '12']) statuses.push(await readAs(busy.key, company));
      expect(statuses).toEqual([404, 404, 503, 404]);
      expect([await readAs(busy.key, '42'), await readAs(reader.key, '14')]).toEqual([200, 404]);
    } finally {
      await release();
    }
    await trailOf(world, [broker]);
    expect(await readAs(busy.key, '13')).toBe(404);
    bound.rows = rows;
  });

  it('a flush whose answer was lost counts nothing twice', async () => {
    const from = await since();
    await read();
    const buffer = broker.broker.app.get(AuditBuffer);
    const [first] = await ofReader(from);
    await read();
    await ofReader(from);
    // As a process does that did not hear that it was written.
    await world.sql('update audit_events set count = 1 where id = $1', [first?.['id']]);
    await read();
    expect((await ofReader(from)).map(({ id, count }) => [id, count])).toEqual([[first?.['id'], 3]]);
    expect(buffer.length).toBe(0);
  });
});

describe('what counts on in an event that is written', () => {
  const countOf = async (company: string): Promise<unknown> =>
    (
      await world.sql<Json>(
        `select count from audit_events where actor = $1 and resource = $2 order by at desc limit 1`,
        [reader.id, `konnect/companies/${company}`],
      )
    )[0]?.['count'];
  const isCounted = async (company: string, count: number): Promise<void> => {
    await eventually(async () => (await countOf(company)) === count);
  };

  const second = (): number => (world.clock.now().getTime() / 1_000) % 60;

  it('is written again every ten seconds, and when its minute is over', async () => {
    // The beginning of a minute.
    await world.advance(61 - second());
    await read('konnect/companies/61');
    await isCounted('61', 1);
    await read('konnect/companies/61');
    // What is new is written by a look that leaves this alone.
    await read('konnect/companies/62');
    await isCounted('62', 1);
    expect(await countOf('61')).toBe(1);
    await world.advance(10);
    await isCounted('61', 2);
    await read('konnect/companies/61');
    await world.advance(54 - second());
    await isCounted('61', 3);
    const begun = world.clock.monotonic();
    await read('konnect/companies/61');
    await world.advance(60.5 - second());
    await isCounted('61', 4);
    expect(world.clock.monotonic() - begun).toBeLessThan(10_000);
  });
});

describe('reads', () => {
  const actor = { id: 'one', keyId: 'key', sourceIp: '10.0.0.7', requestId: '1' };
  const event: AuditEvent = {
    actor,
    action: 'token:read',
    outcome: 'allowed',
    resource: 'konnect/companies/1',
    connectionId: 'c',
    tokenVersion: 1,
    tokenFingerprint: 'f',
  };
  const nextTo = (changes: Partial<AuditEvent>): AuditEvent => ({ ...event, ...changes });
  const settings = { audit: { stdout: false } } as Settings;
  const newBuffer = (): AuditBuffer =>
    new AuditBuffer(world.clock, new BufferBound(), new AuditLines(settings), new Metrics());

  it.each([
    ['caller', { actor: { ...actor, id: 'other' } }],
    ['key', { actor: { ...actor, keyId: null } }],
    ['address', { actor: { ...actor, sourceIp: null } }],
    ['action', { action: 'token:report' }],
    ['outcome', { outcome: 'failed' }],
    ['resource', { resource: 'konnect/companies/2' }],
    ['connection', { connectionId: null }],
    ['version', { tokenVersion: 2 }],
    ['token', { tokenFingerprint: 'g' }],
    ['reason', { reason: 'requested' }],
  ] satisfies [string, Partial<AuditEvent>][])(
    'that differ in their %s alone are two events',
    (_, changes) => {
      const buffer = newBuffer();
      for (const each of [event, nextTo(changes), event, nextTo(changes)]) buffer.note(each);
      buffer.note(nextTo({ actor: { ...actor, requestId: '2' } }));
      expect(buffer.due(true).map(({ count }) => count)).toEqual([3, 2]);
    },
  );

  it('count on where the event is in hand, with the time of the last; of another, it is not that event', async () => {
    const buffer = newBuffer();
    const noted = buffer.note(event);
    const { at } = noted.toColumns();
    for (const changes of [{ id: 'other' }, { keyId: null }, { sourceIp: null }])
      expect(buffer.noteAgain(noted, { ...actor, ...changes })).toBe(false);
    expect(noted.toColumns()).toMatchObject({ count: 1, last_at: at });
    // Within the minute, whichever second of it this is.
    await world.advance(world.clock.now().getSeconds() < 30 ? 5 : -5);
    expect(buffer.noteAgain(noted, { ...actor, requestId: '2' })).toBe(true);
    const now = world.clock.now().getTime();
    expect(noted.toColumns()).toMatchObject({ count: 2, at });
    expect(Math.abs(noted.toColumns().last_at - now)).toBeLessThan(500);
    buffer.endMinute(true);
    expect(buffer.noteAgain(noted, actor)).toBe(false);
  });

  it.each([60, -60])(
    'are another event in another minute, also if the clock was set: by %i s',
    async (seconds) => {
      const buffer = newBuffer();
      const noted = buffer.note(event);
      await world.advance(seconds);
      expect(buffer.noteAgain(noted, actor)).toBe(false);
      buffer.note(event);
      expect(buffer.due(true).map(({ count }) => count)).toEqual([1, 1]);
    },
  );
});

describe('an orderly stop', () => {
  it('writes what was read last', async () => {
    const stopping = await world.local();
    const from = await since();
    await read('konnect/companies/42', stopping);
    await stopping.broker.stop();
    expect(await ofReader(from, 'true', [])).toHaveLength(1);
  });

  it('writes also what was noted while another write was under way, and waits behind that', async () => {
    const from = await since();
    const release = await holdTrail();
    let stopped: Promise<void> | undefined;
    try {
      await read('konnect/companies/71');
      await eventually(isSomebodyWaiting);
      await read('konnect/companies/72');
      // Without time for a second try.
      stopped = broker.broker.app.get(AuditFlush).stop(0);
    } finally {
      await release();
    }
    await stopped;
    expect((await ofReader(from, 'true', [])).map(({ resource }) => resource)).toEqual([
      'konnect/companies/71',
      'konnect/companies/72',
    ]);
  });
});

describe('AUDIT_STDOUT', () => {
  it('tells each event as a line of JSON, and of what is folded also where it ended', async () => {
    const telling = await world.local({ AUDIT_STDOUT: 'true' });
    await world.keepKonnect(telling, '77');
    for (let round = 0; round < 3; round += 1) {
      await read('konnect/companies/77', telling);
      await trailOf(world, [telling]);
    }
    await telling.broker.stop();
    const lines = world.logs
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.startsWith('{"type":"audit"'))
      .map((line) => JSON.parse(line) as Json)
      .filter((event) => event['resource'] === 'konnect/companies/77');
    expect(lines.map((event) => [event['action'], event['reason'], event['count']])).toEqual([
      ['connection:write', 'created', 1],
      ['token:read', null, 1],
      ['token:read', null, 3],
    ]);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(2);
  });
});
