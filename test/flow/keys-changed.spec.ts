import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { keyColumnOf, SEALED_TABLES } from '../../src/vault/sealed-tables.js';
import { CommandLine } from '../support/command-line.js';
import { ask, eventually, type Answer, type Json } from '../support/http.js';
import { KeyOperator } from '../support/keys.js';
import { Replica, type Ended } from '../support/replica.js';
import { trailOf } from '../support/trail.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const random = (): string => randomBytes(32).toString('base64');

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-keys-'));
let broker: LocalBroker;
const keys = new KeyOperator(world, () => broker);

beforeAll(async () => {
  broker = await world.local({ KEY_ROTATION_RATE: '100000' });
  await world.keepKonnect(broker, '1');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const act = (method: string, path: string, key?: string): Promise<Answer> =>
  world.api(broker, method, `/v1/${path}`, undefined, key);

/** A command as an operator runs it; its output is searched for secrets, too. */
async function command(args: string[], changes: Record<string, string> = {}): Promise<Ended> {
  const { DATABASE_URL, ENCRYPTION_KEYS } = world.environment(changes);
  const ended = await CommandLine.run(['keys', ...args], { DATABASE_URL, ENCRYPTION_KEYS });
  world.logs.push(ended.output);
  return ended;
}

describe('a data key is destroyed', () => {
  it('neither while it seals, nor while rows are sealed by it, nor a moment after, and then for good', async () => {
    const former = (await keys.list())[0]?.id ?? '';
    expect(await act('DELETE', `keys/${former}`)).toMatchObject({
      status: 409,
      body: { code: 'key_in_use' },
    });
    const { id } = await keys.rotate();
    await keys.allMoved();
    const early = await act('DELETE', `keys/${former}`);
    expect([early.status, early.body['code'], Number(early.body['retry_after']) > 0]).toEqual([
      409,
      'key_in_use',
      true,
    ]);
    await world.advance(301);

    // Somebody has written what it has sealed, all the same.
    await world.sql(`update connections set sealed_token_key = $1`, [former]);
    expect(await act('DELETE', `keys/${former}`)).toMatchObject({
      status: 409,
      body: { code: 'key_in_use' },
    });
    await world.sql(`update connections set sealed_token_key = $1`, [id]);
    expect((await act('DELETE', `keys/${former}`)).status).toBe(204);
    expect((await keys.list()).map((key) => key.id)).toEqual([id]);
    expect((await act('GET', 'tokens/konnect/companies/1')).status).toBe(200);
    const fresh = await world.local();
    expect((await world.api(fresh, 'GET', '/v1/tokens/konnect/companies/1')).status).toBe(200);
    await fresh.broker.stop();
  });

  it('only where there is such a key, by who may, and with a trace', async () => {
    expect(await act('DELETE', `keys/${randomUUID()}`)).toMatchObject({
      status: 404,
      body: { code: 'key_not_found' },
    });
    expect(await act('DELETE', 'keys/other')).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    });
    const { key } = await world.client(broker, 'key:admin konnect/**', 'client:admin **');
    for (const [method, path] of [
      ['GET', 'keys'],
      ['POST', 'keys/rotate'],
      ['POST', 'keys/rewrap'],
      ['DELETE', `keys/${randomUUID()}`],
    ] as const)
      expect((await act(method, path, key)).status).toBe(403);
    const events = await trailOf(
      world,
      [broker],
      `action = 'key:admin' and outcome = 'allowed' and reason <> 'requested'`,
      [],
    );
    expect(events.map(({ actor, reason, resource }) => [actor, reason, resource])).toEqual([
      ['admin', 'rotated', '**'],
      ['admin', 'destroyed', '**'],
    ]);
  });
});

describe('a key-encryption key is replaced', () => {
  const given = (): string => world.environment()['ENCRYPTION_KEYS'] ?? '';
  const next = `next:${random()}`;

  it('by wrapping the data keys anew and nothing else; then the former is needed no more', async () => {
    const both = `${next},${given()}`;
    const during = await world.local({ ENCRYPTION_KEYS: both });
    const before = await world.sql('select sealed_token, sealed_grant from connections');
    const { status, body } = await world.api(during, 'POST', '/v1/keys/rewrap');
    expect([status, body['rewrapped']]).toEqual([200, 3]);
    expect(body['key_encryption_keys']).toEqual([
      { id: 'next', data_keys: 3 },
      { id: 'test', data_keys: 0 },
    ]);
    expect(await world.sql('select sealed_token, sealed_grant from connections')).toEqual(before);
    const again = await world.api(during, 'POST', '/v1/keys/rewrap');
    expect(again.body['rewrapped']).toBe(0);
    await during.broker.stop();

    const alone = await world.local({ ENCRYPTION_KEYS: next });
    expect((await world.api(alone, 'GET', '/v1/tokens/konnect/companies/1')).status).toBe(200);
    await alone.broker.stop();
    const { code, output } = await Replica.runToEnd(world.environment());
    expect([code, output]).toEqual([78, expect.stringContaining('has no key "next"')]);
  });

  it('before a replica has it: that one serves on, and says what it lacks', async () => {
    const { status, body } = await ask('GET', `${broker.api}/health/ready`);
    await broker.broker.app.get((await import('../../src/vault/key-ring.js')).KeyRing).refresh();
    expect(status).toBe(200);
    expect(body['status']).toBe('degraded');
    expect(body['details']).toMatchObject({
      keys: { status: 'degraded', reason: 'ENCRYPTION_KEYS lacks next' },
    });
    expect((await act('GET', 'tokens/konnect/companies/1')).status).toBe(200);
  });

  it('and a replica that meets a data key which it cannot unwrap is not ready, says why, and is once it can', async () => {
    const file = join(folder, 'encryption-keys');
    writeFileSync(file, `${given()},${next}`);
    const replica = await world.replica({
      ENCRYPTION_KEYS: undefined,
      ENCRYPTION_KEYS_FILE: file,
      LOG_LEVEL: 'info',
    });
    const lone = `lone:${random()}`;
    const other = await world.replica({ ENCRYPTION_KEYS: `${lone},${given()},${next}` });
    const { body } = await world.api(other, 'POST', '/v1/keys/rotate');
    await world.keepKonnect(other, '2');
    const ready = (): Promise<Answer> => ask('GET', `${replica.api}/health/ready`);
    const unready = await eventually(async () => {
      const answer = await ready();
      return answer.status === 503 && answer;
    });
    expect(unready.body['detail']).toBe(
      `keys: data key ${String(body['id'])}: ENCRYPTION_KEYS has no key "lone", which this database was sealed with (it has: test, next); add it`,
    );
    const met = await world.api(replica, 'GET', '/v1/tokens/konnect/companies/2');
    expect([met.status, met.body['code']]).toEqual([503, 'not_ready']);

    writeFileSync(file, `${given()},${next},${lone}`);
    await eventually(async () => (await ready()).status === 200);
    expect((await world.api(replica, 'GET', '/v1/tokens/konnect/companies/2')).status).toBe(200);
    await Promise.all([replica.stop(), other.stop()]);
    // Back to keys that everybody has.
    expect((await command(['rewrap'], { ENCRYPTION_KEYS: `${given()},${next},${lone}` })).code).toBe(0);
    expect((await ask('GET', `${broker.api}/health/ready`)).status).toBe(200);
  });
});

describe('on the command line', () => {
  it('keys are shown, rotated, waited for, wrapped anew and destroyed', async () => {
    const shown = await command(['status']);
    expect(shown.code).toBe(0);
    expect(shown.output).toMatch(/^[0-9a-f-]{36} {2}active {4}\S+ {2}\d+ rows {2}wrapped by test\n/);
    const rotated = await command(['rotate', '--wait']);
    expect([rotated.code, rotated.output]).toEqual([
      0,
      expect.stringMatching(/seals what is new\nall 2 rows are sealed/),
    ]);
    expect(await command(['wait'])).toMatchObject({ code: 0 });
    const { output } = await command(['status', '--json']);
    const { keys: listed, rows } = JSON.parse(output) as { keys: Json[]; rows: Json };
    expect(rows).toEqual({ all: 2, left: 0 });
    const refused = await command(['destroy', String(listed[0]?.['id'])]);
    expect([refused.code, refused.output]).toEqual([1, expect.stringContaining('rotate first')]);
    await world.advance(301);
    expect((await command(['destroy', String(listed.at(-1)?.['id'])])).code).toBe(0);
    expect(await command(['rewrap'])).toEqual({ code: 0, output: '0 data keys were wrapped anew\n' });
    const [event] = await trailOf(
      world,
      [broker],
      `action = 'key:admin' and actor = 'command-line' and reason = 'destroyed'`,
      [],
    );
    expect(event).toMatchObject({ outcome: 'allowed', resource: '**' });
  });

  it('they say what they have done and nothing else, and where the database is another', async () => {
    const rotated = await command(['rotate', '--no-wait']);
    const [active] = await keys.list();
    expect(rotated).toEqual({ code: 0, output: `data key ${active?.id} seals what is new\n` });
    const elsewhere = new URL(world.environment()['DATABASE_URL'] ?? '');
    elsewhere.pathname = '/postgres';
    expect(await command(['status'], { DATABASE_URL: elsewhere.href })).toEqual({
      code: 78,
      output:
        "token-broker: DATABASE_URL leads to a database without the broker's tables: is it the right one?\n",
    });
  });

  it.each(['test', 'other'])(
    'who has another key (as %s) than the replicas makes none that is closed to them',
    async (id) => {
      const keys = async (): Promise<number> => (await world.sql('select 1 from data_keys')).length;
      const before = await keys();
      const { code, output } = await command(['rotate', '--no-wait'], {
        ENCRYPTION_KEYS: `${id}:${randomBytes(32).toString('base64')}`,
      });
      expect([code, output]).toEqual([1, expect.stringContaining('None of the data keys opens here')]);
      expect(await keys()).toBe(before);
      expect((await ask('GET', `${broker.api}/health/ready`)).status).toBe(200);
    },
  );

  it('mistakes of the configuration end with 78', async () => {
    const { code, output } = await command(['status'], { ENCRYPTION_KEYS: 'test-secret' });
    expect([code, output]).toEqual([
      78,
      expect.stringMatching(/^token-broker: ENCRYPTION_KEYS: entry 1 must be/),
    ]);
  });
});

describe('every column that is sealed', () => {
  it('is one that a rotation knows, with its key beside it', async () => {
    const there = await world.sql(
      `select table_name as name, array_agg(column_name::text order by column_name) as columns
       from information_schema.columns where data_type = 'bytea' and column_name like 'sealed%' and table_schema = 'public'
       group by 1 order by 1`,
    );
    expect(there).toEqual(
      SEALED_TABLES.map(({ name, columns }) => ({ name, columns: [...columns].sort() })).sort((a, b) =>
        a.name < b.name ? -1 : 1,
      ),
    );
    for (const { name, columns } of SEALED_TABLES) {
      const types = await world.sql(
        `select data_type as type from information_schema.columns where table_name = $1 and column_name = any($2)`,
        [name, columns.map(keyColumnOf)],
      );
      expect(types).toEqual(columns.map(() => ({ type: 'uuid' })));
    }
  });

  it('has its key told by the database, whoever writes it, and whatever is written', async () => {
    const id = randomUUID();
    const header = `\\x01${id.replaceAll('-', '')}`;
    for (const [bytes, key] of [
      [`${header}00`, id],
      [header, null],
      ['\\x', null],
      [`\\x02${header.slice(4)}00`, null],
    ] as const) {
      const rows = await world.sql(
        `insert into owed_revocations (id, connection_id, provider, company_id, sealed_secrets, next_try_at, give_up_at)
         values (gen_random_uuid(), gen_random_uuid(), 'none', '1', $1, 'infinity', 'infinity') returning sealed_secrets_key as key`,
        [bytes],
      );
      expect(rows).toEqual([{ key }]);
    }
    await world.sql('delete from owed_revocations');
  });
});
