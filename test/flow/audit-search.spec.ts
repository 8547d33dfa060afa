import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Answer, Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let reader: { id: string; key: string };

beforeAll(async () => {
  broker = await world.local();
  reader = await world.client(broker, 'token:read konnect/companies/**');
});

const search = (query: string, key?: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/audit-events${query}`, undefined, key);
const find = async (query: string): Promise<Json[]> => (await search(query)).body['items'] as Json[];
const read = (path: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/${path}`, undefined, reader.key);

describe('the trail', () => {
  it('is read newest first, each event as the contract has it', async () => {
    const kept = await world.keepKonnect(broker, '1');
    const { body } = await read('konnect/companies/1');
    const [event, ...others] = await find(`?actor=${reader.id}`);
    expect(others).toEqual([]);
    expect(event).toEqual({
      id: expect.any(String),
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      last_at: expect.stringMatching(/Z$/),
      count: 1,
      actor: reader.id,
      actor_name: `token:read konnect/companies/**`,
      action: 'token:read',
      outcome: 'allowed',
      resource: 'konnect/companies/1',
      connection_id: body['connection_id'],
      token_version: 1,
      token_fingerprint: kept.body['token_fingerprint'],
      source_ip: '127.0.0.1',
      key_id: expect.any(String),
      request_id: expect.any(String),
      reason: null,
    });
  });

  it('is asked by each of its filters, and by all together', async () => {
    await world.keepKonnect(broker, '2');
    const { body } = await read('konnect/companies/2');
    await read('konnect/companies/none');
    const id = String(body['connection_id']);
    const only = async (query: string): Promise<unknown[]> =>
      (await find(`?connection_id=${id}&${query}`)).map(({ action }) => action);
    expect(await only('')).toEqual(['token:read', 'connection:write']);
    expect(await only(`actor=${reader.id}`)).toEqual(['token:read']);
    expect(await only('actor=admin')).toEqual(['connection:write']);
    expect(await only('action=token:read')).toEqual(['token:read']);
    expect(await only('outcome=failed')).toEqual([]);
    expect(await only('token_version=1')).toHaveLength(2);
    expect(await only('token_version=2')).toEqual([]);
    expect(await only(`actor=${reader.id}&action=token:read&outcome=allowed&token_version=1`)).toHaveLength(
      1,
    );
    const failed = await find(`?actor=${reader.id}&outcome=failed`);
    expect(failed.map(({ reason }) => reason)).toEqual(['connection_not_found']);
  });

  it('knows a caller by its name, also once it is deleted', async () => {
    const name = encodeURIComponent('token:read konnect/companies/3');
    const former = await world.client(broker, 'token:read konnect/companies/3');
    await world.keepKonnect(broker, '3');
    await world.api(broker, 'GET', '/v1/tokens/konnect/companies/3', undefined, former.key);
    await world.api(broker, 'DELETE', `/v1/clients/${former.id}`);
    const [event] = await find(`?actor=${name}`);
    expect(event).toMatchObject({ actor: former.id, actor_name: decodeURIComponent(name) });
    expect(await find('?actor=nobody')).toEqual([]);
  });

  it('is asked by time, where a folded event counts as long as it lasted', async () => {
    await world.advance(120);
    await world.keepKonnect(broker, '4');
    await read('konnect/companies/4');
    const [first] = await find(`?actor=${reader.id}&limit=1`);
    await read('konnect/companies/4');
    const [{ at, last_at: lastAt } = {}] = await find(`?actor=${reader.id}&limit=1`);
    expect(at).toBe(first?.['at']);
    const asked = (query: string): Promise<Json[]> => find(`?actor=${reader.id}&limit=1&${query}`);
    expect((await asked(`from=${String(lastAt)}`))[0]).toMatchObject({ count: 2 });
    const after = new Date(Date.parse(String(lastAt)) + 1).toISOString();
    expect(await asked(`from=${after}`)).toEqual([]);
    const before = new Date(Date.parse(String(at)) - 1).toISOString();
    expect((await asked(`to=${before}`))[0]?.['resource']).not.toBe('konnect/companies/4');
  });

  it('comes in pages that miss nothing and tell nothing twice, also where events have one time', async () => {
    await world.sql(`
      insert into audit_events (id, at, last_at, actor, action, outcome, resource)
      select gen_random_uuid(), t, t, 'paged', 'token:read', 'allowed', '**'
      from (select date_trunc('second', broker_now()) + (n / 4) * interval '1 microsecond' as t from generate_series(1, 25) n)`);
    const seen: Json[] = [];
    let cursor = '';
    for (let pages = 0; pages < 20; pages += 1) {
      const { body } = await search(`?actor=paged&limit=3${cursor && `&cursor=${cursor}`}`);
      seen.push(...(body['items'] as Json[]));
      // What is written meanwhile is newer than any page.
      await world.sql(`
        insert into audit_events (id, at, last_at, actor, action, outcome, resource)
        values (gen_random_uuid(), broker_now() + interval '1 s', broker_now(), 'paged', 'token:read', 'allowed', '**')`);
      const { next_cursor: nextCursor } = body;
      if (typeof nextCursor !== 'string') break;
      cursor = nextCursor;
    }
    expect(seen).toHaveLength(25);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(25);
  });

  it.each([
    ['cursor', 'cursor=abc'],
    ['cursor', 'cursor=MTIzLjEyMw'],
    ['limit', 'limit=0'],
    ['limit', 'limit=201'],
    ['limit', 'limit=1&limit=2'],
    ['action', 'action=everything'],
    ['outcome', 'outcome=perhaps'],
    ['connection_id', 'connection_id=7'],
    ['token_version', 'token_version=-1'],
    ['token_version', 'token_version=9999999999'],
    ['from', 'from=yesterday'],
    ['from', 'from=2026-01-01'],
    ['to', 'to=2026-13-01T00:00:00Z'],
    ['actor', 'actor=%00'],
    ['actor', 'actor='],
    ['offset', 'offset=1'],
  ])('is not asked by a %s that is none: %s', async (field, query) => {
    const { status, body } = await search(`?${query}`);
    expect([status, body['code'], (body['errors'] as Json[])[0]?.['field']]).toEqual([
      400,
      'invalid_request',
      field,
    ]);
  });

  it('is told only to those who may read it all', async () => {
    expect((await search('', reader.key)).status).toBe(403);
    expect((await search('/exposure?actor=admin', reader.key)).status).toBe(403);
    const auditor = await world.client(broker, 'audit:read **');
    expect((await search('?limit=1', auditor.key)).status).toBe(200);
    const [denied] = await find(`?actor=${reader.id}&outcome=denied`);
    expect(denied).toMatchObject({ action: 'audit:read', resource: '**', reason: 'forbidden' });
  });
});
