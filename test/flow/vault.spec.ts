import { randomBytes } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { KeyRing } from '../../src/vault/key-ring.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { createTestDatabase, dumpAsText } from '../support/postgres.js';
import { Replica } from '../support/replica.js';
import { useWorld, type LocalBroker } from '../support/world.js';

interface Sealed {
  readonly token: Buffer;
  readonly grant: Buffer;
}

/** Whoever waits for a lock in a database. */
const WAITING = `select 1 from pg_stat_activity
  where datname = $1 and wait_event_type = 'Lock'`;

describe('what is sealed', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });
  beforeEach(async () => {
    await world.sql('delete from connections');
    await world.sql('delete from provider_states');
  });

  const token = (path: string, at: { api: string } = broker): Promise<Answer> =>
    world.api(at, 'GET', `/v1/tokens/konnect/companies/${path}`);

  async function keep(path: string): Promise<string> {
    const { status, body } = await world.keepKonnect(broker, path);
    expect(status).toBe(201);
    return String(body['id']);
  }

  async function sealed(id: string): Promise<Sealed> {
    const columns = 'sealed_token as token, sealed_grant as grant';
    const [row] = await world.sql<Sealed & Json>(`select ${columns} from connections where id = $1`, [id]);
    if (!row) throw new Error('no such row');
    return row;
  }

  /** As somebody with SQL would change a row; whoever watches it is told. */
  async function tamper(id: string, assignments: string, values: unknown[] = []): Promise<void> {
    await world.sql(`update connections set ${assignments} where id = $1`, [id, ...values]);
    await world.sql(`select pg_notify('connections', $1)`, [id]);
  }

  /** Neither served nor sent: a problem without a word of what lies there, and the provider is not asked. */
  async function expectShut(id: string, path: string): Promise<void> {
    const { counters } = await world.simulator.ledger();
    const answer = await token(path);
    expect([answer.status, answer.body['code']]).toEqual([500, 'internal_error']);
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(answer.text).not.toMatch(/secret|access_token|sealed/);

    await world.api(broker, 'POST', `/v1/connections/${id}/renew`);
    expect((await world.simulator.ledger()).counters).toEqual(counters);
    const [row] = await world.sql('select status, last_error from connections where id = $1', [id]);
    expect(row).toEqual({ status: 'active', last_error: 'grant_unreadable' });
  }

  it('is another text every time, although the secret is the same', async () => {
    const id = await keep('1');
    const first = await sealed(id);
    await world.keepKonnect(broker, '1');
    const second = await sealed(id);
    expect(second.grant.equals(first.grant)).toBe(false);
    expect(second.grant).toHaveLength(first.grant.length);
    expect(second.grant.subarray(0, 17).equals(first.grant.subarray(0, 17))).toBe(true);
    expect(second.grant.subarray(17, 29).equals(first.grant.subarray(17, 29))).toBe(false);
  });

  describe('stays shut', () => {
    it('in the other column of its row', async () => {
      const id = await keep('2');
      await tamper(id, 'sealed_token = sealed_grant, sealed_grant = sealed_token');
      await expectShut(id, '2');
      await tamper(id, 'sealed_token = sealed_grant, sealed_grant = sealed_token, last_error = null');
      expect((await token('2')).status).toBe(200);
    });

    it('in another row, be it of the same company', async () => {
      const [one, two] = [await keep('3'), await keep('3/locations/1')];
      const [first, second] = [await sealed(one), await sealed(two)];
      await tamper(one, 'sealed_token = $2, sealed_grant = $3', [second.token, second.grant]);
      await tamper(two, 'sealed_token = $2, sealed_grant = $3', [first.token, first.grant]);
      await expectShut(one, '3');
      await expectShut(two, '3/locations/1');
    });

    it('where its row was given to another company', async () => {
      const id = await keep('4');
      await tamper(id, `company_id = '5'`);
      await expectShut(id, '5');
    });

    it.each([
      ['its format', 0],
      ['the id of its key', 3],
      ['its nonce', 20],
      ['the secret', 30],
      ['its tag', -1],
    ])('where one bit of %s is another', async (_, at) => {
      const id = await keep('6');
      const before = await sealed(id);
      const flipped = [before.token, before.grant].map((value) => {
        const copy = Buffer.from(value);
        const index = at < 0 ? copy.length + at : at;
        copy.writeUInt8(copy.readUInt8(index) ^ 1, index);
        return copy;
      });
      await tamper(id, 'sealed_token = $2, sealed_grant = $3', flipped);
      await expectShut(id, '6');
    });

    it.each([0, 1, 17, 44])('where only its first %i bytes are left', async (length) => {
      const id = await keep('7');
      const { token: whole, grant } = await sealed(id);
      const cut = [whole, grant].map((value) => value.subarray(0, length));
      await tamper(id, 'sealed_token = $2, sealed_grant = $3', cut);
      await expectShut(id, '7');
    });

    it('where it names a data key that nobody has', async () => {
      const id = await keep('8');
      const unknown = (column: string): string => `${column} = overlay(${column} placing $2 from 2 for 16)`;
      await tamper(id, `${unknown('sealed_token')}, ${unknown('sealed_grant')}`, [randomBytes(16)]);
      await expectShut(id, '8');
    });
  });

  describe('is sealed by data keys', () => {
    it('that are in the database only wrapped', async () => {
      const ring = broker.broker.app.get(KeyRing);
      const dump = (await dumpAsText(world.databaseUrl)).join('\n');
      for (const purpose of ['seal', 'fingerprint', 'sign'] as const) {
        const { id, key } = ring.newest(purpose);
        const raw = key.export();
        expect(raw).toHaveLength(32);
        expect(dump).toContain(id);
        expect(dump).not.toContain(raw.toString('hex'));
        expect(dump).not.toContain(raw.toString('base64').slice(0, 40));
      }
      const rows = await world.sql<{ purpose: string; size: number }>(
        'select purpose, length(wrapped) as size from data_keys order by 1',
      );
      // Nonce, key and tag.
      expect(rows).toEqual(
        ['fingerprint', 'seal', 'sign'].map((purpose) => ({ purpose, size: 12 + 32 + 16 })),
      );
      const wrapped = await world.sql('select distinct wrapped from data_keys');
      expect(wrapped).toHaveLength(3);
    });

    it('of one set, which all replicas share that start at once on an empty database', async () => {
      const empty = await createTestDatabase();
      const client = new Client({ connectionString: empty.url });
      await client.connect();
      try {
        // All three are let go at the same moment, when each has come to the keys.
        await client.query('begin; lock table data_keys in access exclusive mode');
        const starts = [1, 2, 3].map(() => world.replica({ DATABASE_URL: empty.url }));
        const name = new URL(empty.url).pathname.slice(1);
        await eventually(async () => (await world.sql(WAITING, [name])).length === 3);
        await client.query('commit');
        const [one, two, three] = await Promise.all(starts);
        const { rows } = await client.query('select purpose from data_keys order by 1');
        expect(rows).toEqual([{ purpose: 'fingerprint' }, { purpose: 'seal' }, { purpose: 'sign' }]);
        if (!one || !two || !three) throw new Error('three replicas were started');
        await world.keepKonnect(one, '9');
        expect((await token('9', two)).status).toBe(200);
        expect((await token('9', three)).body['access_token']).toEqual(
          (await token('9', one)).body['access_token'],
        );
        await Promise.all([one, two, three].map((replica) => replica.stop()));
      } finally {
        await client.end();
        await empty.drop();
      }
    });

    describe('which ENCRYPTION_KEYS unwrap:', () => {
      const given = (): string => world.environment()['ENCRYPTION_KEYS'] ?? '';
      const random = (): string => randomBytes(32).toString('base64');

      it.each([
        ['other bytes under the same id', () => `test:${random()}`, '"test" is not the one that'],
        ['another id', () => `other:${random()}`, 'has no key "test"'],
        ['the same bytes under another id', () => given().replace('test:', 'other:'), 'has no key "test"'],
      ])('with %s the start ends with one clear line', async (_, keys, line) => {
        const ENCRYPTION_KEYS = keys();
        const environment = world.environment({ ENCRYPTION_KEYS, LOG_LEVEL: undefined });
        const { code, output } = await Replica.runToEnd(environment);
        expect(code).toBe(78);
        expect(output.trim().split('\n')).toEqual([expect.stringContaining(line)]);
        expect(output).toMatch(/^token-broker: ENCRYPTION_KEYS/);
        expect(output).not.toContain(ENCRYPTION_KEYS.split(':')[1]);
      });

      it('with a new key behind it, and then before it, everything still opens', async () => {
        await keep('10');
        const other = `new:${random()}`;
        for (const keys of [`${given()},${other}`, `${other},${given()}`]) {
          const another = await world.local({ ENCRYPTION_KEYS: keys });
          expect((await token('10', another)).status).toBe(200);
          expect((await world.keepKonnect(another, '11')).status).toBeLessThan(300);
          await another.broker.stop();
        }
        expect((await token('11')).status).toBe(200);
      });
    });
  });
});
