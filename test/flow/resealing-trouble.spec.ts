import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { pickStatement } from '../../src/vault/reseal.sql.js';
import { Resealing } from '../../src/vault/resealing.js';
import { SEALED_TABLES } from '../../src/vault/sealed-tables.js';
import { SealedWork } from '../../src/vault/sealed-work.js';
import { CommandLine } from '../support/command-line.js';
import { Crowd } from '../support/crowd.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { KeyOperator, sealsWith } from '../support/keys.js';
import { Scrape } from '../support/metrics.js';
import { useWorld, type LocalBroker } from '../support/world.js';

/** Milliseconds that a statement may take here. */
const LIMIT_MS = 500;

const world = useWorld();
let broker: LocalBroker;
/** Somebody else, who holds locks. */
let other: Client | undefined;
const keys = new KeyOperator(world, () => broker);

beforeAll(async () => {
  await world.sql(
    `do $$ begin execute format('alter database %I set statement_timeout = ${LIMIT_MS}', current_database()); end $$`,
  );
  // What is said to be a pooler has the limit of its role.
  broker = await world.local({ DATABASE_DIRECT_URL: world.databaseUrl, KEY_ROTATION_RATE: '100000' });
  world.stopTicking(broker);
  await world.keepKonnect(broker, '1');
  await world.keepKonnect(broker, '2');
  await keys.rotate();
  await keys.allMoved();
});

afterEach(async () => {
  await unlock();
});

const look = (): Promise<void> => broker.broker.app.get(Resealing).look();
const told = (text: string): number => world.logs.filter((line) => line.includes(text)).length;
const status = (): Promise<Answer> => world.api(broker, 'GET', '/v1/keys');
const rotationOf = ({ body }: Answer): Json => body['rotation'] as Json;

/** Nobody else can read or write the table from now on. */
async function lock(table: string): Promise<void> {
  other = new Client({ connectionString: world.databaseUrl });
  await other.connect();
  await other.query('begin');
  await other.query(`lock table ${table} in access exclusive mode`);
}

async function unlock(): Promise<void> {
  await other?.end();
  other = undefined;
}

/** As an administrator of the database does; resolves when there was one to be ended. */
const endCount = (): Promise<unknown> =>
  eventually(async () => {
    const ended = await world.sql(
      `select pg_cancel_backend(pid) from pg_stat_activity
       where datname = current_database() and query like '%count(*)%group by sealed%' and wait_event_type = 'Lock'`,
    );
    return ended.length > 0;
  });

describe('sealing anew that fails', () => {
  it('is told once, shown for as long as it lasts, and so is that it goes on', async () => {
    await lock('owed_revocations');
    for (let times = 0; times < 3; times += 1) await look();
    expect(told('sealing anew fails')).toBe(1);
    const shown = await status();
    expect(shown.status).toBe(200);
    expect(rotationOf(shown)).toMatchObject({
      rows_left: 0,
      rows: 2,
      trouble: 'sealing anew fails: the database took too long over a statement, or somebody ended it',
    });
    expect((await Scrape.of(broker)).value('resealing_failing')).toBe(1);

    await unlock();
    await look();
    expect(told('sealing anew goes on')).toBe(0);
    await world.advance(61);
    for (let times = 0; times < 2; times += 1) await look();
    expect(told('sealing anew goes on')).toBe(1);
    expect(rotationOf(await status())).toMatchObject({ trouble: null });
    expect((await Scrape.of(broker)).value('resealing_failing')).toBe(0);
  });
});

describe('a count of what is sealed by which key', () => {
  it('may take longer than other statements', async () => {
    await lock('owed_revocations');
    const answer = status();
    await new Promise((resolve) => setTimeout(resolve, 3 * LIMIT_MS));
    await unlock();
    expect(rotationOf(await answer)).toMatchObject({ rows_left: 0, rows: 2, trouble: null });
  });

  it('that fails is told once, and leaves what else is known of the keys', async () => {
    const fresh = await world.local();
    world.stopTicking(fresh);
    const shown = (): Promise<Answer> => world.api(fresh, 'GET', '/v1/keys');
    for (let times = 0; times < 2; times += 1) {
      await lock('owed_revocations');
      const answer = shown();
      await endCount();
      const { body } = await answer;
      await unlock();
      expect(body).toMatchObject({
        items: [
          { state: 'active', rows: null },
          { state: 'retiring', rows: null },
        ],
        rotation: {
          rows_left: null,
          rows: null,
          counted_at: null,
          trouble: expect.stringMatching(
            /^counting what is sealed by which key fails: the database took too long/,
          ),
        },
      });
      // What took long is asked for again after twenty times as long.
      await world.advance(30);
    }
    expect(told('counting what is sealed by which key fails')).toBe(1);
    const scrape = await Scrape.of(fresh);
    expect([scrape.value('resealing_failing'), scrape.all('sealed_rows')]).toEqual([1, {}]);
    await world.advance(61);
    expect(rotationOf(await shown())).toMatchObject({ rows_left: 0, rows: 2, trouble: null });
    expect(told('counting what is sealed by which key goes on')).toBe(1);
    expect((await Scrape.of(fresh)).all('sealed_rows')).toEqual({
      '{state="active"}': 2,
      '{state="retiring"}': 0,
    });
    await fresh.broker.stop();
  });

  it('that fails is told on the command line, too', async () => {
    await lock('owed_revocations');
    const { DATABASE_URL, ENCRYPTION_KEYS } = world.environment();
    const command = CommandLine.run(['keys', 'status'], { DATABASE_URL, ENCRYPTION_KEYS });
    await endCount();
    const { code, output } = await command;
    expect([code, output]).toEqual([
      0,
      expect.stringMatching(
        / {2}retiring {2}\S+ {2}\? rows {2}wrapped by test\n[^]*\ncounting .* fails: the database took too long/,
      ),
    ]);
  });

  it('holds up no stop', async () => {
    const stopped = await world.local();
    await lock('owed_revocations');
    const answer = world.api(stopped, 'GET', '/v1/keys');
    await eventually(
      async () =>
        (
          await world.sql(
            `select 1 from pg_locks where not granted and relation = 'owed_revocations'::regclass`,
          )
        ).length > 0,
    );
    await stopped.broker.stop();
    await answer.catch(() => undefined);
  });
});

describe('a row that does not open', () => {
  it('is told once, and tried again an hour later, when somebody may have mended it', async () => {
    const { broker: one } = broker;
    const work = one.app.get(SealedWork);
    const [before] = await world.sql<Json>(
      `select sealed_token::text as token from connections where company_id = '1'`,
    );
    await world.sql(
      `update connections set sealed_token = set_byte(sealed_token, 40, get_byte(sealed_token, 40) # 1) where company_id = '1'`,
    );
    await keys.rotate();
    await eventually(async () => (await keys.list())[1]?.rows === 1);
    await look();
    for (const seconds of [10, 3_600, 3_600]) {
      // Nothing is left to be looked at soon.
      expect(await work.left(sealsWith(broker))).toEqual([]);
      await world.advance(seconds);
      await look();
      expect(told('not sealed anew')).toBe(1);
    }
    await world.sql(`update connections set sealed_token = $1::bytea where company_id = '1'`, [
      before?.['token'],
    ]);
    await world.advance(3_600);
    await look();
    await keys.allMoved();
  });
});

describe('what is left to be sealed anew', () => {
  it('is found by an index, also where the statistics say that every row is', async () => {
    const [table] = SEALED_TABLES;
    const key = sealsWith(broker);
    if (!table) throw new Error('nothing is ever sealed');
    await new Crowd(world, () => broker).ofKonnect(2_000, {
      provider: 'konnect',
      first: 1_000,
      renewInS: 80_000,
    });
    await world.sql('analyze connections');
    for (const [kind, given] of [
      [
        [key, key],
        [key, key],
      ],
      [[key, null], [key]],
      [[null, key], [key]],
    ] as const) {
      const plan = await world.sql<{ 'QUERY PLAN': string }>(
        `explain ${pickStatement({ table, keys: kind }).text}`,
        [[], 25, 0, ...given],
      );
      expect(plan.map((row) => row['QUERY PLAN']).join('\n')).toMatch(
        /Index Scan using connections_by_data_key/,
      );
    }
  });
});
