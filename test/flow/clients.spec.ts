import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, type Answer, type Json } from '../support/http.js';
import type { Replica } from '../support/replica.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const DAY_S = 86_400;
const KEY = /^tbk_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/;

describe('a client', () => {
  const world = useWorld();
  let broker: LocalBroker;
  let other: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
    other = await world.local();
    await world.keepKonnect(broker, '42');
    await world.keepKonnect(broker, '42/locations/7');
    await world.keepKonnect(broker, '43');
  });

  const fetchAs = (key: string, path = 'konnect/companies/42', from = broker): Promise<Answer> =>
    world.api(from, 'GET', `/v1/tokens/${path}`, undefined, key);
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

  describe('is made with a key', () => {
    it('that is told once, ends in 90 days, and reads what it is permitted', async () => {
      const { status, body } = await create(reader('orders'));
      expect(status).toBe(201);
      expect(body).toEqual({
        id: expect.any(String) as unknown,
        name: 'orders',
        permissions: [{ action: 'token:read', resource: 'konnect/companies/42' }],
        workload: null,
        source: 'api',
        key: expect.stringMatching(KEY) as unknown,
        keys: [expect.objectContaining({ created_by: 'admin', last_used_at: null }) as Json],
        expires_at: expect.any(String) as unknown,
        last_used_at: null,
        created_by: 'admin',
        created_at: expect.any(String) as unknown,
      });
      const life = Date.parse(String(body['expires_at'])) - Date.parse(String(body['created_at']));
      expect(Math.round(life / 1_000 / DAY_S)).toBe(90);
      const key = String(body['key']);
      expect((await fetchAs(key)).status).toBe(200);
      expect((await fetchAs(key, 'konnect/companies/42', other)).status).toBe(200);
      expect(await fetchAs(key, 'konnect/companies/43')).toMatchObject({
        status: 403,
        body: { code: 'forbidden' },
      });
      expect((await fetchAs(key, 'konnect/companies/42/locations/7')).status).toBe(403);
      expect(JSON.stringify(await listed(body['id']))).not.toContain(key);
      expect((await world.dump()).join('\n')).not.toContain(key.slice(-43));
    });

    it('that is nothing without its secret half, and after its end', async () => {
      const { body } = await create({
        ...reader('brief'),
        expires_at: new Date(world.clock.now().getTime() + 60_000).toISOString(),
      });
      const key = String(body['key']);
      expect((await fetchAs(key)).status).toBe(200);
      const wrong = `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`;
      for (const bad of [
        wrong,
        key.slice(0, -1),
        `${key}A`,
        key.toUpperCase(),
        `tbk_${'0'.repeat(16)}_${key.slice(-43)}`,
      ]) {
        expect(await fetchAs(bad)).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
      }
      await world.advance(61);
      for (const from of [broker, other]) expect((await fetchAs(key, undefined, from)).status).toBe(401);
    });
  });

  it('with the right to a location gets no company, and falls back to none', async () => {
    const { key } = await world.client(broker, 'token:read konnect/companies/42/locations/*');
    expect((await fetchAs(key, 'konnect/companies/42/locations/7')).status).toBe(200);
    expect((await fetchAs(key)).status).toBe(403);
    const fallback = await fetchAs(key, 'konnect/companies/42/locations/8?level=location_then_company');
    expect(fallback).toMatchObject({ status: 404, body: { code: 'connection_not_found' } });
  });

  it.each([
    ['name', { name: '' }],
    ['name', { name: 'x'.repeat(129) }],
    ['name', { name: 7 }],
    ['name', { name: 'admin' }],
    ['name', { name: 'Broker' }],
    ['name', { name: ' seller ' }],
    ['name', { name: '7F8C1F7E-3d0a-4a5e-9a53-0d6a2a1c9b10' }],
    ['permissions', { permissions: 'token:read' }],
    ['permissions.0.action', { permissions: [{ action: 'token:write', resource: '**' }] }],
    ['permissions.0.resource', { permissions: [{ action: 'token:read', resource: '*' }] }],
    ['permissions.0.scope', { permissions: [{ action: 'token:read', resource: '**', scope: 'x' }] }],
    [
      'permissions',
      { permissions: Array.from({ length: 201 }, () => ({ action: 'token:read', resource: '**' })) },
    ],
    ['expires_at', { expires_at: 'tomorrow' }],
    ['expires_at', { expires_at: '2020-01-01T00:00:00Z' }],
    ['expires_at', { expires_at: '2999-01-01T00:00:00Z' }],
    ['workload.subject', { workload: { issuer: 'https://issuer.example' } }],
    ['key', { key: 'tbk_mine' }],
  ])('is not made where %s is wrong', async (field, change) => {
    const { status, body } = await create({ ...reader('wrong'), ...change });
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
    expect((body['errors'] as Json[]).map((error) => error['field'])).toContain(field);
  });

  it('may be permitted nothing at all', async () => {
    const { status, body } = await create({ name: 'nobody', permissions: [] });
    expect(status).toBe(201);
    expect((await fetchAs(String(body['key']))).status).toBe(403);
  });

  describe('with the right to make others', () => {
    const admin = async (...permissions: string[]): Promise<string> =>
      (await world.client(broker, 'client:admin **', ...permissions)).key;

    it('gives just what it holds itself', async () => {
      const key = await admin('token:read konnect/**');
      expect((await create(reader('within'), key)).status).toBe(201);
      for (const [action, resource] of [
        ['token:read', '**'],
        ['token:read', 'fynd/companies/42'],
        ['token:report', 'konnect/companies/42'],
        ['*', 'konnect/companies/42'],
      ]) {
        const { status, body } = await create({ name: 'beyond', permissions: [{ action, resource }] }, key);
        expect([status, body['code']]).toEqual([403, 'forbidden']);
      }
    });

    it('touches nobody who may do more than it', async () => {
      const key = await admin('token:read konnect/**');
      const mighty = await world.client(
        broker,
        'token:read konnect/companies/42',
        'token:read fynd/companies/42',
      );
      for (const [method, path] of [
        ['POST', `/v1/clients/${mighty.id}/rotate`],
        ['DELETE', `/v1/clients/${mighty.id}`],
      ] as const) {
        expect(await world.api(broker, method, path, undefined, key)).toMatchObject({ status: 403 });
      }
      expect((await fetchAs(mighty.key)).status).toBe(200);
      const modest = await world.client(broker, 'token:read konnect/companies/42');
      expect((await world.api(broker, 'DELETE', `/v1/clients/${modest.id}`, undefined, key)).status).toBe(
        204,
      );
    });

    it('is none that holds it for a company alone', async () => {
      const { key } = await world.client(broker, 'client:admin konnect/**', 'token:read konnect/**');
      expect((await create(reader('within'), key)).status).toBe(403);
    });
  });

  describe('gets another key', () => {
    it('while the former goes on for as long as they overlap', async () => {
      const { id, key } = await world.client(broker, 'token:read konnect/companies/42');
      const { status, body } = await world.api(broker, 'POST', `/v1/clients/${id}/rotate`, { overlap: 60 });
      // The former one is shown, too, as long as it may be used.
      expect(body['keys']).toHaveLength(2);
      expect(status).toBe(200);
      const next = String(body['key']);
      expect(next).toMatch(KEY);
      for (const from of [broker, other])
        for (const each of [key, next]) expect((await fetchAs(each, undefined, from)).status).toBe(200);
      expect((await listed(id))?.['keys']).toHaveLength(2);
      await world.advance(61);
      for (const from of [broker, other]) {
        expect((await fetchAs(key, undefined, from)).status).toBe(401);
        expect((await fetchAs(next, undefined, from)).status).toBe(200);
      }
    });

    it('an hour where nothing is said, and never longer than it had', async () => {
      const soon = new Date(world.clock.now().getTime() + 600_000).toISOString();
      const { body } = await create({ ...reader('soon'), expires_at: soon });
      await world.api(broker, 'POST', `/v1/clients/${String(body['id'])}/rotate`);
      await world.advance(601);
      expect((await fetchAs(String(body['key']))).status).toBe(401);
      const { id, key } = await world.client(broker, 'token:read konnect/companies/42');
      await world.api(broker, 'POST', `/v1/clients/${id}/rotate`);
      await world.advance(3_590);
      expect((await fetchAs(key)).status).toBe(200);
      await world.advance(20);
      expect((await fetchAs(key)).status).toBe(401);
    });

    it('and is told that it ends with the client, where that is sooner', async () => {
      const soon = new Date(world.clock.now().getTime() + 600_000).toISOString();
      const { body } = await create({ ...reader('soon'), expires_at: soon });
      const path = `/v1/clients/${String(body['id'])}/rotate`;
      const sooner = new Date(world.clock.now().getTime() + 60_000).toISOString();
      expect((await world.api(broker, 'POST', path)).body['expires_at']).toBe(soon);
      expect((await world.api(broker, 'POST', path, { expires_at: sooner })).body['expires_at']).toBe(sooner);
    });

    it('and null says nothing: the former does not live on for it', async () => {
      const { id, key } = await world.client(broker, 'token:read konnect/companies/42');
      await world.api(broker, 'POST', `/v1/clients/${id}/rotate`, { overlap: null });
      await world.advance(3_601);
      expect((await fetchAs(key)).status).toBe(401);
    });

    it.each([
      ['overlap', { overlap: -1 }],
      ['overlap', { overlap: 604_801 }],
      ['overlap', { overlap: '60' }],
      ['expires_at', { expires_at: 'never' }],
    ])('not where %s is wrong', async (field, body) => {
      const { id } = await world.client(broker);
      const answer = await world.api(broker, 'POST', `/v1/clients/${id}/rotate`, body);
      expect(answer.status).toBe(400);
      expect((answer.body['errors'] as Json[])[0]?.['field']).toBe(field);
    });
  });

  it('that is deleted is nobody at once, at every replica', async () => {
    const replicas: Replica[] = [await world.replica(), await world.replica()];
    const { id, key } = await world.client(broker, 'token:read konnect/companies/42');
    const all = [broker, other, ...replicas];
    for (const from of all)
      expect((await world.api(from, 'GET', '/v1/tokens/konnect/companies/42', undefined, key)).status).toBe(
        200,
      );
    expect((await world.api(broker, 'DELETE', `/v1/clients/${id}`)).status).toBe(204);
    const deletedAt = performance.now();
    for (const from of all)
      await eventually(
        async () =>
          (await world.api(from, 'GET', '/v1/tokens/konnect/companies/42', undefined, key)).status === 401,
      );
    expect(performance.now() - deletedAt).toBeLessThan(250);
    expect(await world.api(broker, 'DELETE', `/v1/clients/${id}`)).toMatchObject({
      status: 404,
      body: { code: 'client_not_found' },
    });
    expect(await listed(id)).toBeUndefined();
  });

  it('that is deleted while nobody can hear of it is nobody all the same', async () => {
    const { id, key } = await world.client(broker, 'token:read konnect/companies/42');
    expect((await fetchAs(key)).status).toBe(200);
    await world.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'token-broker listen' and datname = current_database()`,
    );
    await world.sql('update clients set deleted_at = broker_now() where id = $1', [id]);
    await eventually(async () => (await fetchAs(key)).status === 401);
  });

  it('that does not exist is not found, and an id that is none is malformed', async () => {
    for (const [method, path] of [
      ['POST', '/rotate'],
      ['DELETE', ''],
    ] as const) {
      expect((await world.api(broker, method, `/v1/clients/${randomUUID()}${path}`)).status).toBe(404);
      expect((await world.api(broker, method, `/v1/clients/7${path}`)).status).toBe(400);
    }
  });
});
