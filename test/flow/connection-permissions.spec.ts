import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Database } from '../../src/database/database.js';
import { Permissions } from '../../src/shared/permission.js';
import { readable } from '../../src/token/readable.sql.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const PLACES = ['42', '42/locations/7', '42/locations/8', '43', '43/locations/7'];

describe('connections', () => {
  const world = useWorld();
  let broker: LocalBroker;
  const ids = new Map<string, string>();

  beforeAll(async () => {
    broker = await world.local();
    for (const place of PLACES) {
      const { body } = await world.keepKonnect(broker, place);
      ids.set(place, String(body['id']));
    }
  });

  const listAs = (key: string, query = ''): Promise<Answer> =>
    world.api(broker, 'GET', `/v1/connections${query}`, undefined, key);
  const placesIn = ({ body }: Answer): string[] =>
    (body['items'] as Json[])
      .map(({ company_id, location_id }) =>
        [company_id, ...(location_id === null ? [] : ['locations', location_id])].join('/'),
      )
      .sort();

  it.each([
    [['connection:read **'], PLACES],
    [['connection:read konnect/companies/42'], ['42']],
    [['connection:read konnect/companies/42/**'], ['42/locations/7', '42/locations/8']],
    [['connection:read */companies/*/locations/7'], ['42/locations/7', '43/locations/7']],
    [['connection:read konnect/companies/*'], ['42', '43']],
    [
      ['connection:read konnect/companies/43', 'connection:read konnect/companies/42/locations/8'],
      ['42/locations/8', '43'],
    ],
    [['connection:read fynd/**'], []],
    [['* konnect/companies/42'], ['42']],
  ])('are listed to whoever holds %j as far as that goes', async (permissions, places) => {
    const { key } = await world.client(broker, ...permissions);
    const answer = await listAs(key);
    expect(answer.status).toBe(200);
    expect(placesIn(answer)).toEqual([...places].sort());
  });

  it('are listed page after page, and none is missed', async () => {
    const { key } = await world.client(broker, 'connection:read */companies/*/locations/*');
    const first = await listAs(key, '?limit=2');
    const second = await listAs(key, `?limit=2&cursor=${String(first.body['next_cursor'])}`);
    expect([...placesIn(first), ...placesIn(second)].sort()).toEqual(
      ['42/locations/7', '42/locations/8', '43/locations/7'].sort(),
    );
    expect(second.body['next_cursor']).toBeNull();
  });

  it('are not listed to who may read none', async () => {
    const { key } = await world.client(broker, 'token:read **', 'connection:write **');
    expect(await listAs(key)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });

  it.each([
    ['GET', '', 'connection:read'],
    ['POST', '/renew', 'connection:renew'],
    ['POST', '/pause', 'connection:write'],
    ['POST', '/resume', 'connection:write'],
    ['DELETE', '', 'connection:write'],
  ] as const)('are only for who may: %s %s', async (method, path, action) => {
    const others = ['connection:read', 'connection:renew', 'connection:write'].filter((it) => it !== action);
    const { key } = await world.client(
      broker,
      `${action} konnect/companies/42`,
      ...others.map((other) => `${other} **`),
    );
    const at = (place: string): Promise<Answer> =>
      world.api(broker, method, `/v1/connections/${ids.get(place) ?? ''}${path}`, undefined, key);
    expect(await at('42/locations/7')).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await at('43')).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect((await at('42')).status).toBe(200);
    const { key: without } = await world.client(broker, ...others.map((other) => `${other} **`));
    const refused = await world.api(
      broker,
      method,
      `/v1/connections/${ids.get('42') ?? ''}${path}`,
      undefined,
      without,
    );
    expect(refused.status).toBe(403);
  });

  it('that may be read are the same to the database as to the matcher', async () => {
    const segment = fc.constantFrom('konnect', 'fynd', '42', '43', '7', '8', '*');
    const whole = fc
      .tuple(segment, fc.constant('companies'), segment, fc.constant('locations'), segment)
      .chain((segments) => fc.constantFrom(segments, segments.slice(0, 3)))
      .map((segments) => segments.join('/'));
    const below = fc
      .tuple(fc.tuple(segment, fc.constant('companies'), segment, fc.constant('locations')), fc.nat(4))
      .map(([segments, length]) => [...segments.slice(0, length), '**'].join('/'));
    const database = broker.broker.app.get(Database);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(whole, below), { maxLength: 3 }), async (patterns) => {
        const permissions = new Permissions(
          patterns.map((resource) => ({ action: 'connection:read', resource })),
        );
        const { text, values } = readable(permissions, 1);
        const rows = await database.run<{ id: string }>(
          { text: `select c.id from connections c where (${text})` },
          values,
        );
        const expected = PLACES.filter((place) =>
          permissions.permits('connection:read', `konnect/companies/${place}`),
        );
        expect(rows.map(({ id }) => id).sort()).toEqual(expected.map((place) => ids.get(place)).sort());
      }),
      { numRuns: 200 },
    );
  });

  it('that are revoked are refused by every replica within 250 ms', async () => {
    const replicas = [await world.replica(), await world.replica(), broker];
    const { body } = await world.keepKonnect(broker, '99');
    const at = (replica: { api: string }): Promise<Answer> =>
      world.api(replica, 'GET', '/v1/tokens/konnect/companies/99');
    for (const replica of replicas) expect((await at(replica)).status).toBe(200);
    const revoked = await world.api(broker, 'DELETE', `/v1/connections/${String(body['id'])}`);
    expect(revoked.status).toBe(200);
    expect(Object.keys(revoked.body).sort()).toEqual(['token_valid_until', 'upstream']);
    const since = performance.now();
    for (const replica of replicas) await eventually(async () => (await at(replica)).status === 410);
    expect(performance.now() - since).toBeLessThan(250);
    const [row] = await world.sql<Json>('select sealed_grant, sealed_token from connections where id = $1', [
      body['id'],
    ]);
    expect(row).toEqual({ sealed_grant: null, sealed_token: null });
  });
});
