import { beforeAll, describe, expect, it } from '@jest/globals';
import { AuditParts } from '../../src/audit/audit-parts.js';
import type { Json } from '../support/http.js';
import { trailOf } from '../support/trail.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const DAY_S = 86_400;

describe('the parts of the trail', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local({ AUDIT_RETENTION_DAYS: '30' });
  });

  const look = (): Promise<void> => broker.broker.app.get(AuditParts).look();
  const parts = async (): Promise<string[]> =>
    (
      await world.sql<{ name: string }>(
        `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit_events'::regclass order by 1`,
      )
    ).map(({ name }) => name);
  /** The Monday so many weeks from now, as its part is named. */
  const monday = async (weeks: number): Promise<string> => {
    const [row] = await world.sql<{ name: string }>(
      `select 'audit_events_' || to_char(date_trunc('week', broker_now() at time zone 'UTC') + $1 * interval '7 days', 'YYYYMMDD') as name`,
      [weeks],
    );
    return row?.name ?? '';
  };
  const isoOf = (name: string): string => name.replace(/^.*(\d{4})(\d{2})(\d{2})$/, '$1-$2-$3T00:00:00Z');
  const note = (at: string): Promise<unknown> =>
    world.sql(`insert into audit_events (id, at, last_at, actor, action, outcome, resource)
               values (gen_random_uuid(), ${at}, ${at}, 'part', 'token:read', 'allowed', '**')`);
  const whereabouts = async (): Promise<Json[]> =>
    world.sql<Json>(
      `select tableoid::regclass::text as part, count(*)::int from audit_events where actor = 'part' group by 1 order by 1`,
    );

  it('are there from the start: this week’s and two more, and the one for the rest', async () => {
    expect(await parts()).toEqual([await monday(0), await monday(1), await monday(2), 'audit_events_rest']);
    await world.keepKonnect(broker, '1');
    const lies = await world.sql<Json>('select distinct tableoid::regclass::text as part from audit_events');
    expect(lies).toEqual([{ part: await monday(0) }]);
  });

  it('are made by one of all replicas, and again changes nothing', async () => {
    const other = await world.local();
    await Promise.all([look(), other.broker.app.get(AuditParts).look()]);
    expect(await parts()).toHaveLength(4);
  });

  it('take what lay in the rest before they were made', async () => {
    await note(`broker_now() + interval '21 days'`);
    await note(`broker_now() - interval '14 days'`);
    expect(await whereabouts()).toEqual([{ part: 'audit_events_rest', count: 2 }]);
    await look();
    expect(await whereabouts()).toEqual(
      [await monday(-2), await monday(3)].sort().map((part) => ({ part, count: 1 })),
    );
    expect(await world.sql('select 1 from audit_events_rest')).toEqual([]);
  });

  it('are dropped as a whole once all of their week is older than the retention', async () => {
    const first = await monday(0);
    await world.advance(29 * DAY_S);
    await look();
    expect(await parts()).toContain(first);
    await world.advance(9 * DAY_S);
    await look();
    expect(await parts()).not.toContain(first);
    expect(await parts()).toEqual(expect.arrayContaining([await monday(0), await monday(2)]));
    expect(await trailOf(world, [broker], `action = 'connection:write'`)).toEqual([]);
  });

  it('that cannot be made are told of, and keep none of the others from being made or dropped', async () => {
    // As somebody does who makes parts by hand, of another size.
    await world.sql(`create table by_hand (like audit_events including all)`);
    await world.advance(14 * DAY_S);
    const inTheWay = await monday(1);
    await world.sql(`alter table audit_events attach partition by_hand for values from
      ('${isoOf(inTheWay)}') to ('${isoOf(inTheWay)}'::timestamptz + interval '1 day')`);
    await note(`broker_now() - interval '60 days'`);
    const old = await monday(-9);
    await look();
    expect(await parts()).toContain(await monday(2));
    expect(await parts()).not.toContain(inTheWay);
    expect(world.logs.filter((line) => line.includes(`${inTheWay} is looked after later`))).toHaveLength(1);
    expect(world.logs.some((line) => line.includes(`dropped ${old}`))).toBe(true);
    await world.sql('drop table by_hand');
    await look();
    expect(await parts()).toContain(inTheWay);
  });

  it('hold up nobody for long: whoever reads for long is waited for in an hour', async () => {
    await world.sql('begin');
    await world.sql('select 1 from audit_events_rest');
    await world.advance(21 * DAY_S);
    const before = await parts();
    const begun = performance.now();
    await look();
    expect(performance.now() - begun).toBeLessThan(5_000);
    await world.sql('commit');
    expect(await parts()).toEqual(before);
    await look();
    expect(await parts()).toContain(await monday(2));
  });
});

describe('a role that may make no tables', () => {
  const world = useWorld();

  it('is told of once, and everything goes on in the rest', async () => {
    const url = new URL(world.databaseUrl);
    const role = `plain_${url.pathname.slice(1)}`;
    await world.sql(`create role ${role} login password 'test-secret-plain'`);
    await world.sql(`grant select, insert, update, delete on all tables in schema public to ${role}`);
    url.username = role;
    url.password = 'test-secret-plain';
    const broker = await world.local({ DATABASE_URL: url.href, MIGRATE_ON_START: 'false' });
    try {
      await world.keepKonnect(broker, '1');
      expect((await world.api(broker, 'GET', '/v1/tokens/konnect/companies/1')).status).toBe(200);
      await broker.broker.app.get(AuditParts).look();
      const events = await trailOf(world, [broker], 'connection_id is not null');
      expect(events.map(({ action }) => action)).toEqual(['connection:write', 'token:read']);
      expect(
        await world.sql(`select 1 from pg_inherits where inhparent = 'audit_events'::regclass`),
      ).toHaveLength(1);
      const warnings = world.logs.filter((line) => line.includes('may not make tables'));
      expect(warnings).toHaveLength(1);
    } finally {
      await broker.broker.stop();
      await world.sql(`drop owned by ${role}`);
      await world.sql(`drop role ${role}`);
    }
  });
});
