import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Notifications } from '../../src/database/notifications.js';
import { ReplicaCaches } from '../../src/database/replica-cache.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { TokensInHand } from '../../src/token/tokens-in-hand.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let other: LocalBroker;
let companies = 0;
let company = '';

beforeAll(async () => {
  [broker, other] = [await world.local(), await world.local({ CACHED_TOKENS: '2' })];
  // Nothing is renewed but what a test asks for.
  for (const each of [broker, other]) await each.broker.app.get(RenewalSchedule).stop();
});
beforeEach(() => {
  companies += 1;
  company = String(companies);
});

const read = (at: LocalBroker, whose = company, query = ''): Promise<Answer> =>
  world.api(at, 'GET', `/v1/tokens/konnect/companies/${whose}${query}`);

async function kept(whose = company): Promise<string> {
  const { body } = await world.keepKonnect(broker, whose);
  // What is heard later, on a busy machine, would have it read again.
  for (const each of [broker, other]) await world.heard(each);
  return String(body['id']);
}

/** Does this while the table has another name, so that whoever asks the database for a connection fails. */
async function withoutTable<T>(work: () => Promise<T>): Promise<T> {
  await world.sql('alter table connections rename to connections_hidden');
  try {
    return await work();
  } finally {
    await world.sql('alter table connections_hidden rename to connections');
  }
}

async function cutChannel(): Promise<void> {
  await world.sql(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'token-broker listen'`,
  );
  await eventually(() => !isLive());
}

const isLive = (): boolean => [broker, other].every(({ broker: { app } }) => app.get(Notifications).isLive());

describe('a token that was read', () => {
  it('is answered again without the database being asked, whatever of it is asked for', async () => {
    await kept();
    const first = await read(broker);
    await withoutTable(async () => {
      const again = await read(broker);
      expect([again.status, again.body]).toEqual([
        200,
        { ...first.body, expires_in: again.body['expires_in'] },
      ]);
      expect((await read(broker, company, '?min_ttl=120')).body).toMatchObject({ version: 1, stale: false });
      // Nobody has read it there.
      expect((await read(other)).status).toBe(500);
    });
  });

  it('gets older by the clock of the database, and is not handed out when it is too old', async () => {
    await kept();
    const first = await read(broker);
    await world.advance(100);
    const again = await read(broker);
    const aged = Number(first.body['expires_in']) - Number(again.body['expires_in']);
    expect(aged).toBeGreaterThanOrEqual(99);
    expect(aged).toBeLessThanOrEqual(103);
    await world.advance(Number(again.body['expires_in']) - 10);
    const renewed = await read(broker);
    expect([renewed.status, renewed.body['version']]).toEqual([200, 2]);
  });

  it('is one among so many: what was asked for the longest ago is read anew', async () => {
    const all = [company, `${company}-b`, `${company}-c`];
    for (const each of all) await kept(each);
    for (const each of all) await read(other, each);
    await withoutTable(async () => {
      const statuses = await Promise.all(all.map(async (each) => (await read(other, each)).status));
      expect(statuses).toEqual([500, 200, 200]);
    });
  });

  it('lies in memory sealed', async () => {
    await kept();
    const token = String((await read(broker)).body['access_token']);
    const inHand = broker.broker.app.get(TokensInHand).current(`konnect/companies/${company}`);
    expect(inHand?.tokenVersion).toBe(1);
    expect(inHand?.sealedToken?.includes(token)).toBe(false);
    expect(JSON.stringify(inHand)).not.toContain(token);
  });
});

describe('a change of a connection', () => {
  type Change = (id: string) => Promise<Answer>;
  const post =
    (verb: string): Change =>
    (id) =>
      world.api(broker, 'POST', `/v1/connections/${id}/${verb}`);
  const changes: readonly [string, Change, Json][] = [
    ['a revocation', (id) => world.api(broker, 'DELETE', `/v1/connections/${id}`), { status: 410 }],
    ['a renewal', post('renew'), { status: 200, version: 2 }],
    ['another credential', () => world.keepKonnect(broker, company, 'other'), { status: 200, version: 2 }],
    [
      'a report',
      () =>
        world.api(broker, 'POST', `/v1/tokens/konnect/companies/${company}/report`, {
          version: 1,
          status: 401,
        }),
      { status: 200, version: 2 },
    ],
  ];

  it.each(changes)(
    'is known at once where it was made, and elsewhere within 250 ms: %s',
    async (_, change, after) => {
      const id = await kept();
      for (const each of [broker, other]) expect((await read(each)).status).toBe(200);
      const told = ({ status, body }: Answer): Json => ({
        status,
        ...('version' in after ? { version: body['version'] } : {}),
      });
      expect((await change(id)).status).toBeLessThan(300);
      expect(told(await read(broker))).toEqual(after);
      const since = performance.now();
      await eventually(async () => JSON.stringify(told(await read(other))) === JSON.stringify(after));
      expect(performance.now() - since).toBeLessThan(250);
    },
  );

  it('is known at once where it was made, every time', async () => {
    for (let round = 0; round < 25; round += 1) {
      const whose = `${company}-${round}`;
      const id = await kept(whose);
      expect((await read(broker, whose)).status).toBe(200);
      await world.api(broker, 'DELETE', `/v1/connections/${id}`);
      expect([round, (await read(broker, whose)).status]).toEqual([round, 410]);
    }
  });

  it('is known at once where it was made, every time, also of who may ask', async () => {
    await kept();
    for (let round = 0; round < 25; round += 1) {
      const { id, key } = await world.client(broker, 'token:read konnect/**');
      const asks = (): Promise<Answer> =>
        world.api(broker, 'GET', `/v1/tokens/konnect/companies/${company}`, undefined, key);
      expect((await asks()).status).toBe(200);
      await world.api(broker, 'DELETE', `/v1/clients/${id}`);
      expect([round, (await asks()).status]).toEqual([round, 401]);
    }
  });

  it('ends what was handed out of a dead grant, once that is reported', async () => {
    const id = await kept();
    await world.sql(
      `update connections set status = 'reauthorization_required', last_error = 'invalid_grant' where id = $1`,
      [id],
    );
    for (const each of [broker, other]) expect((await read(each)).body['stale']).toBe(true);
    await world.api(broker, 'POST', `/v1/tokens/konnect/companies/${company}/report`, {
      version: 1,
      status: 401,
    });
    expect((await read(broker)).status).toBe(409);
    await eventually(async () => (await read(other)).status === 409);
  });
});

describe('while the replicas do not hear each other', () => {
  it('nothing is believed that was read before, nor when they hear each other again', async () => {
    const id = await kept();
    expect((await read(broker)).body['version']).toBe(1);
    await cutChannel();
    // Nobody says so.
    await world.sql('update connections set token_version = 7 where id = $1', [id]);
    expect((await read(broker)).body['version']).toBe(7);
    await world.sql('update connections set token_version = 8 where id = $1', [id]);
    expect((await read(broker)).body['version']).toBe(8);
    await world.sql('update connections set token_version = 9 where id = $1', [id]);
    await eventually(isLive);
    expect((await read(broker)).body['version']).toBe(9);
    await withoutTable(async () => expect((await read(broker)).status).toBe(200));
  });
});

describe('a row that is being read', () => {
  interface Row {
    readonly id: string;
    readonly value: number;
  }
  const row = (value: number): Row => ({ id: '00000000-0000-4000-8000-000000000001', value });

  function useCache(): {
    read: (find: () => Promise<Row | undefined>) => Promise<unknown>;
    change: () => Promise<unknown>;
  } {
    const { app } = broker.broker;
    const cache = app.get(ReplicaCaches).of<Row>('connections', 10);
    let heard = 0;
    app.get(Notifications).onChange('connections', () => (heard += 1));
    return {
      read: async (find) => (await cache.find('name', find))?.entry.row.value,
      change: async () => {
        const before = heard;
        await world.sql(`select pg_notify('connections', $1)`, [row(0).id]);
        await eventually(() => heard > before);
      },
    };
  }

  it('is read once for all who ask meanwhile, and then not again', async () => {
    const { read: find } = useCache();
    let reads = 0;
    const look = async (): Promise<Row> => {
      reads += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
      return row(1);
    };
    expect(await Promise.all([find(look), find(look), find(look)])).toEqual([1, 1, 1]);
    expect([await find(look), reads]).toEqual([1, 1]);
  });

  it('is read again where it changes meanwhile', async () => {
    const { read: find, change } = useCache();
    const values = [1, 2];
    let reads = 0;
    const look = async (): Promise<Row> => {
      const value = values[reads] ?? 0;
      reads += 1;
      if (reads === 1) await change();
      return row(value);
    };
    expect(await find(look)).toBe(2);
    expect([await find(look), reads]).toEqual([2, 2]);
  });

  it('is answered, and not remembered, where it changes all the time', async () => {
    const { read: find, change } = useCache();
    let reads = 0;
    const look = async (): Promise<Row> => {
      reads += 1;
      const value = reads;
      await change();
      return row(value);
    };
    expect(await find(look)).toBe(3);
    expect(await find(look)).toBe(6);
  });

  it('is not said to be missing where something was made meanwhile', async () => {
    const { read: find, change } = useCache();
    let reads = 0;
    const look = async (): Promise<Row | undefined> => {
      reads += 1;
      if (reads > 1) return row(1);
      await change();
      return undefined;
    };
    expect(await find(look)).toBe(1);
  });

  it('is not remembered where the channel is lost meanwhile', async () => {
    const { read: find } = useCache();
    await find(async () => {
      await cutChannel();
      await eventually(isLive);
      return row(1);
    });
    expect(await find(() => Promise.resolve(row(2)))).toBe(2);
  });

  it('is asked for again where it could not be read', async () => {
    const { read: find } = useCache();
    await expect(find(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await find(() => Promise.resolve(undefined))).toBeUndefined();
    expect(await find(() => Promise.resolve(row(1)))).toBe(1);
  });
});
