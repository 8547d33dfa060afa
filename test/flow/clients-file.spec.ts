import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ConfigurationError } from '../../src/config/mistakes.js';
import { type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('the clients of a file', () => {
  const world = useWorld();
  const path = join(mkdtempSync(join(tmpdir(), 'token-broker-test-')), 'clients.yaml');
  let before: LocalBroker;

  const start = async (text: string, more: Record<string, string> = {}): Promise<LocalBroker> => {
    writeFileSync(path, text);
    return world.local({ CLIENTS_FILE: path, ...more });
  };
  const listed = async (broker: LocalBroker): Promise<Json[]> =>
    (await world.api(broker, 'GET', '/v1/clients?limit=200')).body['items'] as Json[];
  const named = async (broker: LocalBroker, name: string): Promise<Json> => {
    const found = (await listed(broker)).find((client) => client['name'] === name);
    if (!found) throw new Error(`${name} is not there`);
    return found;
  };

  beforeAll(async () => {
    before = await start(`
clients:
  - name: orders
    permissions:
      - { action: token:read, resource: konnect/companies/42 }
  - name: stock
    workload: { issuer: "https://issuer.example", subject: "system:serviceaccount:shop:stock" }
    permissions: [{ action: "\${ACTION:-token:read}", resource: "konnect/**" }]
    expires_at: 2030-01-01T00:00:00Z
`);
    await world.keepKonnect(before, '42');
  });

  it('are there after the start, and say where they come from', async () => {
    expect(await named(before, 'orders')).toMatchObject({ source: 'file', created_by: 'broker', keys: [] });
    expect(await named(before, 'stock')).toMatchObject({
      source: 'file',
      workload: { issuer: 'https://issuer.example', subject: 'system:serviceaccount:shop:stock' },
      permissions: [{ action: 'token:read', resource: 'konnect/**' }],
      expires_at: '2030-01-01T00:00:00.000Z',
    });
  });

  it('get their keys here, and are changed in the file alone', async () => {
    const { id } = await named(before, 'orders');
    const rotated = await world.api(before, 'POST', `/v1/clients/${String(id)}/rotate`);
    expect(rotated.status).toBe(200);
    const key = String(rotated.body['key']);
    const read = await world.api(before, 'GET', '/v1/tokens/konnect/companies/42', undefined, key);
    expect(read.status).toBe(200);
    expect(await world.api(before, 'DELETE', `/v1/clients/${String(id)}`)).toMatchObject({ status: 403 });
    const stock = await named(before, 'stock');
    expect(await world.api(before, 'POST', `/v1/clients/${String(stock['id'])}/rotate`)).toMatchObject({
      status: 400,
    });
  });

  it('follow the file at the next start: changed, deleted, and the same where nothing changed', async () => {
    const api = await world.client(before, 'token:read konnect/companies/42');
    const orders = await named(before, 'orders');
    const { body } = await world.api(before, 'POST', `/v1/clients/${String(orders['id'])}/rotate`);
    const key = String(body['key']);
    const after = await start(`
clients:
  - name: orders
    permissions: [{ action: token:read, resource: konnect/companies/43 }]
`);
    expect(await named(after, 'orders')).toMatchObject({ id: orders['id'] });
    expect((await listed(after)).map(({ name }) => name)).not.toContain('stock');
    for (const broker of [before, after]) {
      const read = (company: string): Promise<{ status: number }> =>
        world.api(broker, 'GET', `/v1/tokens/konnect/companies/${company}`, undefined, key);
      expect((await read('42')).status).toBe(403);
      expect((await read('43')).status).toBe(404);
      expect((await listed(broker)).map(({ id }) => id)).toContain(api.id);
    }
    const changes = world.sql<Json>(
      `select count(*)::int as n from audit_events where actor = 'broker' and action = 'client:admin'`,
    );
    const [{ n } = { n: 0 }] = await changes;
    await start(
      `clients: [{ name: orders, permissions: [{ action: "token:read", resource: konnect/companies/43 }] }]`,
    );
    const [again] = await world.sql<Json>(
      `select count(*)::int as n from audit_events where actor = 'broker' and action = 'client:admin'`,
    );
    expect(again?.['n']).toBe(n);
  });

  it('stay as they are where there is no file, and go where it is empty', async () => {
    const without = await world.local();
    expect((await listed(without)).map(({ name }) => name)).toContain('orders');
    const empty = await start('clients: []');
    expect((await listed(empty)).map(({ name }) => name)).not.toContain('orders');
  });

  it('are deleted here once there is no file any more, with their keys', async () => {
    await start('clients: [{ name: left-over, permissions: [] }]');
    const without = await world.local();
    const { id } = await named(without, 'left-over');
    const { body } = await world.api(without, 'POST', `/v1/clients/${String(id)}/rotate`);
    expect((await world.api(without, 'DELETE', `/v1/clients/${String(id)}`)).status).toBe(204);
    expect((await listed(without)).map(({ name }) => name)).not.toContain('left-over');
    const back = await start('clients: [{ name: left-over, permissions: [] }]');
    expect(await named(back, 'left-over')).toMatchObject({ keys: [] });
    expect((await world.api(back, 'GET', '/v1/clients', undefined, String(body['key']))).status).toBe(401);
  });

  describe('that a replica with the former file has deleted', () => {
    const file = 'clients: [{ name: newcomer, permissions: [{ action: "token:read", resource: "**" }] }]';
    const begin = async (): Promise<{ id: unknown; key: string }> => {
      const broker = await start(file);
      const { id } = await named(broker, 'newcomer');
      const { body } = await world.api(broker, 'POST', `/v1/clients/${String(id)}/rotate`);
      return { id, key: String(body['key']) };
    };
    const read = async (broker: LocalBroker, key: string): Promise<number> =>
      (await world.api(broker, 'GET', '/v1/tokens/konnect/companies/7', undefined, key)).status;

    it('are the same, and have their keys, where the file brings them back within a day', async () => {
      const { id, key } = await begin();
      const former = await start('clients: []');
      expect(await read(former, key)).toBe(401);
      await world.advance(86_000);
      const back = await start(file);
      expect((await named(back, 'newcomer'))['id']).toBe(id);
      for (const broker of [former, back]) expect(await read(broker, key)).toBe(404);
      const rows = await world.sql<Json>(`select reason from audit_events where resource = $1 order by at`, [
        `clients/${String(id)}`,
      ]);
      expect(rows.map(({ reason }) => reason)).toEqual(['created', 'rotated', 'deleted', 'restored']);
    });

    it('come back with what the file says of them now', async () => {
      const { id, key } = await begin();
      await start('clients: []');
      const back = await start('clients: [{ name: newcomer, permissions: [] }]');
      expect(await named(back, 'newcomer')).toMatchObject({ id, permissions: [] });
      expect(await read(back, key)).toBe(403);
    });

    it('are others after that, and their keys nobody’s', async () => {
      const { id, key } = await begin();
      await start('clients: []');
      await world.advance(86_500);
      const back = await start(file);
      expect((await named(back, 'newcomer'))['id']).not.toBe(id);
      expect(await read(back, key)).toBe(401);
    });
  });

  describe('and workloads', () => {
    const speaksFor = (name: string, subject: string): string =>
      `{ name: ${name}, permissions: [], workload: { issuer: i, subject: ${subject} } }`;

    it('exchange them, and take those of one that goes', async () => {
      await start(
        `clients: [${speaksFor('one', 'x')}, ${speaksFor('two', 'y')}, ${speaksFor('three', 'z')}]`,
      );
      const { id } = await named(before, 'one');
      await start(`clients: [${speaksFor('one', 'y')}, ${speaksFor('two', 'x')}, ${speaksFor('four', 'z')}]`);
      expect(await named(before, 'one')).toMatchObject({ id, workload: { subject: 'y' } });
      expect(await named(before, 'two')).toMatchObject({ workload: { subject: 'x' } });
      expect(await named(before, 'four')).toMatchObject({ workload: { subject: 'z' } });
    });

    it('have no key any more, also when they are none any more', async () => {
      await start('clients: [{ name: changing, permissions: [] }]');
      const { id } = await named(before, 'changing');
      const { body } = await world.api(before, 'POST', `/v1/clients/${String(id)}/rotate`);
      const listing = (): Promise<{ status: number }> =>
        world.api(before, 'GET', '/v1/clients', undefined, String(body['key']));
      expect((await listing()).status).toBe(403);
      await start(`clients: [${speaksFor('changing', 'w')}]`);
      expect(await named(before, 'changing')).toMatchObject({ id, keys: [] });
      expect((await listing()).status).toBe(401);
      await start('clients: [{ name: changing, permissions: [] }]');
      expect(await named(before, 'changing')).toMatchObject({ id, keys: [] });
      expect((await listing()).status).toBe(401);
    });

    it('are not taken from a client that was made here', async () => {
      const workload = { issuer: 'i', subject: 'taken' };
      await world.api(before, 'POST', '/v1/clients', { name: 'first', permissions: [], workload });
      const failure = await start(`clients: [${speaksFor('late', 'taken')}]`).catch(
        (error: unknown) => error,
      );
      expect((failure as ConfigurationError).lines).toEqual([
        'CLIENTS_FILE: a workload in it belongs to a client that was made over the API; delete that one first',
      ]);
    });
  });

  it.each([
    ['clients:\n  orders: {}', 'must hold "clients:" alone, and under it a list'],
    ['clients: []\nmore: 1', 'must hold "clients:" alone, and under it a list'],
    ['clients: [orders]', 'client 1: must be a map with a name and permissions'],
    ['clients: [{ name: orders }]', 'client 1: permissions'],
    [
      'clients: [{ name: a, permissions: [{ action: read, resource: "**" }] }]',
      'client 1: permissions.0.action',
    ],
    ['clients: [{ name: a, permissions: [], key: x }]', 'client 1: key'],
    [
      'clients: [{ name: seller, permissions: [] }]',
      'client 1: name must not be admin, broker, seller or a UUID',
    ],
    ['clients: [{ name: "${NOT_SET}", permissions: [] }]', 'client 1: NOT_SET is not set'],
    ['clients: [{ name: a, permissions: [] }, { name: a, permissions: [] }]', '"a" stands there twice'],
    [
      'clients: [{ name: a, permissions: [], workload: { issuer: i, subject: s } }, { name: b, permissions: [], workload: { issuer: i, subject: s } }]',
      '"a" and "b" have the same workload',
    ],
  ])('stop the start where it says %s', async (text, line) => {
    const failure = await start(text).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(ConfigurationError);
    expect((failure as ConfigurationError).lines.join('\n')).toContain(line);
  });
});
