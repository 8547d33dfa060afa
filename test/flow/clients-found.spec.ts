import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { ClientStore } from '../../src/clients/client.store.js';
import { LastUses } from '../../src/clients/last-uses.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

/** Statements of this database that wait for somebody else's lock. */
const WAITING = `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;

describe('a client is found', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
    for (let count = 0; count < 5; count += 1) await world.client(broker);
    await world.keepKonnect(broker, '42');
  });

  const create = (body: Json, key?: string): Promise<Answer> =>
    world.api(broker, 'POST', '/v1/clients', body, key);
  const reader = (name: string, resource = 'konnect/companies/42'): Json => ({
    name,
    permissions: [{ action: 'token:read', resource }],
  });
  const listed = async (id: unknown): Promise<Json | undefined> => {
    const { body } = await world.api(broker, 'GET', '/v1/clients?limit=200');
    return (body['items'] as Json[]).find((client) => client['id'] === id);
  };

  it('by who may do something now', async () => {
    const may = await world.client(broker, 'token:read fynd/companies/900/**');
    const wide = await world.client(broker, 'token:read fynd/**');
    const ended = await create({
      ...reader('ended', 'fynd/**'),
      expires_at: new Date(world.clock.now().getTime() + 10_000).toISOString(),
    });
    await world.advance(11);
    const query = 'can=token:read&resource=fynd/companies/900/locations/1';
    const { status, body } = await world.api(broker, 'GET', `/v1/clients?${query}`);
    expect(status).toBe(200);
    const ids = (body['items'] as Json[]).map((client) => client['id']);
    expect(ids).toEqual(expect.arrayContaining([may.id, wide.id]));
    expect(ids).not.toContain(ended.body['id']);
    const company = await world.api(broker, 'GET', '/v1/clients?can=token:read&resource=fynd/companies/900');
    expect((company.body['items'] as Json[]).map((client) => client['id'])).not.toContain(may.id);
  });

  it('by who may do something, by and by where there are very many', async () => {
    const may = await world.client(broker, 'token:report fynd/companies/901');
    await world.sql(
      `insert into clients (id, name, permissions, created_by)
       select gen_random_uuid(), 'one-of-many', '[{"action": "token:read", "resource": "**"}]', 'test' from generate_series(1, 2100)`,
    );
    const found: unknown[] = [];
    let pages = 0;
    for (let cursor: string | null = ''; cursor !== null; pages += 1) {
      const query = `can=token:report&resource=fynd/companies/901${cursor && `&cursor=${cursor}`}`;
      const { body } = await world.api(broker, 'GET', `/v1/clients?${query}`);
      found.push(...(body['items'] as Json[]).map(({ id }) => id));
      cursor = body['next_cursor'] as string | null;
    }
    await world.sql(`delete from clients where name = 'one-of-many'`);
    expect([found, pages]).toEqual([[may.id], 3]);
  });

  it('page after page', async () => {
    const seen: unknown[] = [];
    for (let cursor = ''; ;) {
      const { body } = await world.api(broker, 'GET', `/v1/clients?limit=3${cursor && `&cursor=${cursor}`}`);
      seen.push(...(body['items'] as Json[]).map((client) => client['id']));
      if (body['next_cursor'] === null) break;
      cursor = body['next_cursor'] as string;
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThan(6);
  });

  it.each([
    'can=token:read',
    'resource=konnect/companies/42',
    'can=nothing&resource=**',
    'can=token:read&resource=konnect/**',
    'cursor=x',
    'limit=0',
    'who=me',
  ])('not by %s', async (query) => {
    expect(await world.api(broker, 'GET', `/v1/clients?${query}`)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    });
  });

  it('is told when it was last used', async () => {
    const { id, key } = await world.client(broker, 'token:read konnect/companies/42');
    await world.api(broker, 'GET', '/v1/tokens/konnect/companies/42', undefined, key);
    await world.advance(60);
    await broker.broker.app.get(LastUses).write();
    const used = await listed(id);
    const agoS = (world.clock.now().getTime() - Date.parse(String(used?.['last_used_at']))) / 1_000;
    expect(agoS).toBeGreaterThan(58);
    expect(agoS).toBeLessThan(70);
  });

  it('is told so, too, where that could not be written down at first', async () => {
    const { id, key } = await world.client(broker, 'token:read konnect/companies/42');
    const use = (): Promise<Answer> =>
      world.api(broker, 'GET', '/v1/tokens/konnect/companies/42', undefined, key);
    const uses = broker.broker.app.get(LastUses);
    await use();
    await world.sql('alter table client_keys rename column last_used_at to hidden');
    await uses.write();
    await world.sql('alter table client_keys rename column hidden to last_used_at');
    expect((await listed(id))?.['last_used_at']).toBeNull();
    await uses.write();
    expect((await listed(id))?.['last_used_at']).toEqual(expect.any(String));
  });

  it('is told its last use where it was used again while another was written down', async () => {
    const { id, key } = await world.client(broker, 'token:read konnect/companies/42');
    const use = (): Promise<Answer> =>
      world.api(broker, 'GET', '/v1/tokens/konnect/companies/42', undefined, key);
    const uses = broker.broker.app.get(LastUses);
    await use();
    const holder = new Client({ connectionString: world.databaseUrl });
    await holder.connect();
    try {
      await holder.query('begin');
      await holder.query('select from client_keys where client_id = $1 for update', [id]);
      const writing = uses.write();
      await world.advance(60);
      await use();
      await holder.query('commit');
      await writing;
      await uses.write();
    } finally {
      await holder.end();
    }
    const used = await listed(id);
    expect(world.clock.now().getTime() - Date.parse(String(used?.['last_used_at']))).toBeLessThan(30_000);
  });

  it('is written of in one order by all replicas, so that none waits for another for ever', async () => {
    const ids = await world.sql<{ id: string }>('select id from client_keys order by id limit 2');
    const [low = '', high = ''] = ids.map(({ id }) => id);
    const store = broker.broker.app.get(ClientStore);
    const holder = new Client({ connectionString: world.databaseUrl });
    await holder.connect();
    try {
      await holder.query('begin');
      await holder.query('select from client_keys where id = $1 for update', [low]);
      const writing = store.touchKeys(
        new Map([
          [high, 1],
          [low, 1],
        ]),
      );
      await eventually(async () => (await world.sql(WAITING)).length > 0);
      await holder.query('select from client_keys where id = $1 for update nowait', [high]);
      await holder.query('commit');
      await writing;
    } finally {
      await holder.end();
    }
  });
});
