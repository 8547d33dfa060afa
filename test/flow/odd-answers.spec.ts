import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { answer, HostileServer, says } from '../support/hostile-server.js';
import type { Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

/** Token answers that are good, but for a field that is not as most providers write it. */
describe.each(['fynd', 'connect'])('an answer of %s', (provider) => {
  const world = useWorld();
  const server = new HostileServer();
  let broker: LocalBroker;
  let id: string;

  beforeAll(async () => {
    await server.open();
    broker = await world.local({ FYND_BASE_URL: server.url, CONNECT_TOKEN_URL: `${server.url}/token` });
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
    server.requests.length = 0;
    const { body } = await world.api(broker, 'PUT', `/v1/connections/${provider}/companies/42`, {
      refresh_token: 'test-secret-first',
      scopes: ['a', 'b'],
    });
    id = String(body['id']);
    await renewWith({});
  });

  let tokens = 0;
  /** Renews, and is answered with these fields beside a token. */
  async function renewWith(fields: Json): Promise<void> {
    const access_token = `test-secret-token-${(tokens += 1)}`;
    server.act = says(answer(200, JSON.stringify({ access_token, expires_in: 3_600, ...fields })));
    const { body } = await world.api(broker, 'POST', `/v1/connections/${id}/renew`);
    expect(body).toMatchObject({ status: 'active', last_error: null });
  }

  /** The refresh token of the last renewal. */
  function sent(): unknown {
    const [head = '', body = ''] = Buffer.from(server.requests.at(-1) ?? '', 'latin1')
      .toString()
      .split('\r\n\r\n');
    const isJson = /^content-type: application\/json/im.test(head);
    return (isJson ? (JSON.parse(body) as Json) : Object.fromEntries(new URLSearchParams(body)))[
      'refresh_token'
    ];
  }

  const row = async (): Promise<Json> => (await world.sql<Json>('select * from connections'))[0] ?? {};
  const warnings = (): number =>
    world.logs.filter((line) => line.includes(`${provider}: gave a refresh token that cannot be sent`))
      .length;

  it.each([
    ['with a space', 'test-secret one'],
    ['with a line break', 'test-secret-a\r\nb'],
    ['in another alphabet', 'test-secret-ключ\u0000'],
    ['of 20 KB', `test-secret-${'x'.repeat(20_480)}`],
  ])('may bring a refresh token %s: it is the one that is sent next', async (_what, refreshToken) => {
    await renewWith({ refresh_token: refreshToken });
    expect(await row()).toMatchObject({ refresh_token_kept: false });
    await renewWith({});
    expect(sent()).toBe(refreshToken);
  });

  it.each([
    ['an empty text', ''],
    ['a number', 7],
    ['a list', ['test-secret-r']],
  ])('that brings %s for a refresh token does not say that the former was kept', async (_what, odd) => {
    expect(await row()).toMatchObject({ refresh_token_kept: true });
    const before = warnings();
    await renewWith({ refresh_token: odd });
    await renewWith({ refresh_token: odd });
    expect(await row()).toMatchObject({ refresh_token_kept: null });
    expect([sent(), warnings() - before]).toEqual(['test-secret-first', 1]);
  });

  it.each([
    ['an empty text', ''],
    ['separators', ' , '],
    ['no names', [1, '', 'b c', null]],
    ['an object', { a: true }],
  ])('that brings %s for scopes says nothing of them', async (_what, scope) => {
    await renewWith({ scope });
    expect(await row()).toMatchObject({ scopes: ['a', 'b'] });
    const path = `/v1/tokens/${provider}/companies/42?scope=b`;
    expect((await world.api(broker, 'GET', path)).status).toBe(200);
  });

  it('may bring a scope behind many that are none', async () => {
    await renewWith({ scope: [...Array<string>(300).fill(''), 'c'] });
    expect(await row()).toMatchObject({ scopes: ['c'] });
  });

  it('that brings null for a refresh token brings none', async () => {
    await renewWith({ refresh_token: null });
    expect(await row()).toMatchObject({ refresh_token_kept: true });
  });
});
