import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { fingerprint } from '../../simulator/secrets.js';
import type { Answer } from '../support/http.js';
import { Replica } from '../support/replica.js';
import { atFynd, Seller } from '../support/seller.js';
import { UI_URL, useWorld, type LocalBroker } from '../support/world.js';

const MODES = ['offline', 'online', 'both'] as const;

const world = useWorld();
const brokers = {} as Record<(typeof MODES)[number], LocalBroker>;
let companies = 8_000;

beforeAll(async () => {
  for (const mode of MODES) brokers[mode] = await world.local({ FYND_ACCESS_MODE: mode });
});
beforeEach(async () => {
  await world.sql('truncate connections, online_sessions, provider_states');
});

const nextCompany = (): string => String(++companies);
const codeOf = ({ status, body }: Answer): unknown[] => [status, body['code']];
const trade = (ticket: string | null, at = brokers.both): Promise<Answer> =>
  world.api(at, 'POST', '/v1/sessions', { ticket });
const ofSession = (id: unknown, companyId: string, at = brokers.both): Promise<Answer> =>
  world.api(at, 'GET', `/v1/tokens/fynd/sessions/${String(id)}?company_id=${companyId}`);
const ofCompany = (companyId: string, at = brokers.both): Promise<Answer> =>
  world.api(at, 'GET', `/v1/tokens/fynd/companies/${companyId}`);

/** Opens the extension, and hands the ticket over as its backend does: the session's id. */
async function signIn(seller: Seller, companyId: string, at = brokers.both): Promise<string> {
  const { landing } = await seller.open(at, companyId);
  const { status, body } = await trade(landing?.searchParams.get('ticket') ?? null, at);
  expect(status).toBe(201);
  return String(body['session_id']);
}

describe('an access mode', () => {
  it.each([
    ['offline', 'offline'],
    ['online', 'online'],
    ['both', 'online'],
  ] as const)('%s asks for consent as %s', async (mode, asked) => {
    const { browser } = await Seller.of(world, 'ann');
    const query = `company_id=${nextCompany()}&client_id=extension-1`;
    const { headers } = await browser.visit(`${brokers[mode].public}/fp/install?${query}`);
    expect(new URL(headers.get('location') ?? '').searchParams.get('access_mode')).toBe(asked);
  });

  it.each(['online', 'both'])(
    '%s needs a place to hand sessions over: without ui_url the start ends',
    async (mode) => {
      const changes = { FYND_ACCESS_MODE: mode, FYND_UI_URL: undefined, LOG_LEVEL: undefined };
      const { code, output } = await Replica.runToEnd(world.environment(changes));
      expect(code).toBe(78);
      expect(output.trim().split('\n')).toEqual([
        `token-broker: provider "fynd": access_mode: ${mode} needs ui_url: a user's session is handed over there`,
      ]);
    },
  );

  it('that nobody knows ends the start', async () => {
    const { code, output } = await Replica.runToEnd(world.environment({ FYND_ACCESS_MODE: 'sometimes' }));
    expect([code, output]).toEqual([
      78,
      expect.stringMatching(/provider "fynd": access_mode must be one of/),
    ]);
  });
});

describe('offline', () => {
  it('brings a token of the company, and no session', async () => {
    const companyId = nextCompany();
    const { landing } = await (await Seller.of(world, 'ann')).open(brokers.offline, companyId);
    expect(landing?.href).toBe(`${UI_URL}/company/${companyId}`);
    const { body } = await ofCompany(companyId, brokers.offline);
    expect(await atFynd(world, body['access_token'])).toMatchObject({ status: 200, kind: 'offline' });
    expect(await world.sql('select id from online_sessions')).toEqual([]);
  });
});

describe('online', () => {
  it("brings the user's session alone: the company has no connection", async () => {
    const companyId = nextCompany();
    const id = await signIn(await Seller.of(world, 'ann'), companyId, brokers.online);
    const { body } = await ofSession(id, companyId, brokers.online);
    expect(await atFynd(world, body['access_token'])).toMatchObject({ kind: 'online', user_id: 'ann' });
    expect(codeOf(await ofCompany(companyId, brokers.online))).toEqual([404, 'connection_not_found']);
    expect(await world.sql('select id from connections')).toEqual([]);
    expect((await world.simulator.ledger()).counters['exchanges']).toBe(1);
  });

  it('brings the scopes that this user has, which may be fewer than were asked for', async () => {
    await world.simulator.settings('fynd', { granted_scopes: ['company/orders'] });
    const companyId = nextCompany();
    const id = await signIn(await Seller.of(world, 'ann'), companyId, brokers.online);
    expect((await ofSession(id, companyId, brokers.online)).body['scopes']).toEqual(['company/orders']);
    const path = `/v1/tokens/fynd/sessions/${id}?company_id=${companyId}&scope=company/products`;
    expect(codeOf(await world.api(brokers.online, 'GET', path))).toEqual([409, 'scope_missing']);
  });
});

describe('both', () => {
  it('redeems one code once at each endpoint: a token of the company and one of the user', async () => {
    const companyId = nextCompany();
    const seller = await Seller.of(world, 'ann');
    const back = await seller.agree(brokers.both, companyId);
    const landed = await seller.browser.visit(back.href);
    const code = back.searchParams.get('code') ?? '';
    // A code is good once at each of the two endpoints, so that two that succeed were one at each.
    const spent = { operation: 'exchange', outcome: 'ok', fingerprints: { code: fingerprint(code) } };
    expect((await world.simulator.ledger()).entries).toEqual([
      expect.objectContaining(spent),
      expect.objectContaining(spent),
    ]);

    const ticket = new URL(landed.headers.get('location') ?? '').searchParams.get('ticket');
    const session = await trade(ticket);
    expect([session.status, session.body['company_id'], session.body['user']]).toEqual([
      201,
      companyId,
      { id: 'ann' },
    ]);
    const { body: own } = await ofSession(session.body['session_id'], companyId);
    expect(await atFynd(world, own['access_token'])).toMatchObject({ kind: 'online', user_id: 'ann' });
    const { body: company } = await ofCompany(companyId);
    expect(await atFynd(world, company['access_token'])).toMatchObject({ kind: 'offline' });
  });

  it('hands the ticket over at the page of the company, and at a path that was asked for, beside what is there', async () => {
    const seller = await Seller.of(world, 'ann');
    const companyId = nextCompany();
    const ticket = expect.stringMatching(/^[A-Za-z0-9_-]{43}$/);
    const { landing } = await seller.open(brokers.both, companyId);
    expect([landing?.origin, landing?.pathname]).toEqual([
      'https://extension.example',
      `/app/company/${companyId}`,
    ]);
    expect([...(landing?.searchParams ?? [])]).toEqual([['ticket', ticket]]);

    const more = { redirect_path: '/orders?tab=2#newest', application_id: 'channel-7' };
    const deep = (await seller.open(brokers.both, companyId, more)).landing;
    expect([deep?.origin, deep?.pathname, deep?.hash]).toEqual([
      'https://extension.example',
      '/orders',
      '#newest',
    ]);
    expect([...(deep?.searchParams ?? [])]).toEqual([
      ['tab', '2'],
      ['application_id', 'channel-7'],
      ['ticket', ticket],
    ]);
  });

  it('takes no ticket from outside: one that is in the path is replaced', async () => {
    const seller = await Seller.of(world, 'ann');
    const more = { redirect_path: '/orders?ticket=planted' };
    const { landing } = await seller.open(brokers.both, nextCompany(), more);
    expect(landing?.searchParams.getAll('ticket')).toEqual([expect.stringMatching(/^[A-Za-z0-9_-]{43}$/)]);
  });

  it("never gives a user the other's token, however two of one company take turns, nor the company", async () => {
    const companyId = nextCompany();
    const [ann, bob] = [await Seller.of(world, 'ann'), await Seller.of(world, 'bob')];
    const anns = await ann.agree(brokers.both, companyId);
    const bobs = await bob.agree(brokers.both, companyId);
    const [bobLanded, annLanded] = await Promise.all([
      bob.browser.visit(bobs.href),
      ann.browser.visit(anns.href),
    ]);
    const tickets = [annLanded, bobLanded].map(({ headers }) =>
      new URL(headers.get('location') ?? '').searchParams.get('ticket'),
    );
    const [annsId, bobsId] = [(await trade(tickets[0] ?? null)).body, (await trade(tickets[1] ?? null)).body];
    const carol = await signIn(await Seller.of(world, 'carol'), companyId);
    const users = [
      [annsId['session_id'], 'ann'],
      [bobsId['session_id'], 'bob'],
      [carol, 'carol'],
    ];
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(users.map(([id]) => ofSession(id, companyId)));
      const seen = await Promise.all(answers.map(({ body }) => atFynd(world, body['access_token'])));
      expect(seen.map(({ kind, user_id }) => [kind, user_id])).toEqual(
        users.map(([, user]) => ['online', user]),
      );
      expect(answers.map(({ body }) => body['user'])).toEqual(users.map(([, id]) => ({ id })));
      const { body: company } = await ofCompany(companyId);
      expect(await atFynd(world, company['access_token'])).toMatchObject({ kind: 'offline' });
      expect(company).not.toHaveProperty('user');
    }
  });

  it('keeps a session to its company, although one user opens the extension in two', async () => {
    const [one, two] = [nextCompany(), nextCompany()];
    const ann = await Seller.of(world, 'ann');
    const ids = [await signIn(ann, one), await signIn(ann, two)];
    expect(codeOf(await ofSession(ids[0], two))).toEqual([404, 'session_not_found']);
    expect(codeOf(await ofSession(ids[1], one))).toEqual([404, 'session_not_found']);
    const tokens = await Promise.all([ofSession(ids[0], one), ofSession(ids[1], two)]);
    const seen = await Promise.all(tokens.map(({ body }) => atFynd(world, body['access_token'])));
    expect(seen.map(({ company_id }) => company_id)).toEqual([one, two]);
  });

  it('trades a ticket once', async () => {
    const { landing } = await (await Seller.of(world, 'ann')).open(brokers.both, nextCompany());
    const ticket = landing?.searchParams.get('ticket') ?? null;
    expect((await trade(ticket)).status).toBe(201);
    expect(codeOf(await trade(ticket))).toEqual([404, 'session_not_found']);
  });

  it('begins anew where a user’s token was refused: another session, and the company’s token as it was', async () => {
    const companyId = nextCompany();
    const ann = await Seller.of(world, 'ann');
    const first = await signIn(ann, companyId);
    const { body: before } = await ofCompany(companyId);
    const path = `/v1/tokens/fynd/sessions/${first}`;
    const report = { version: 1, status: 401 };
    const reported = await world.api(brokers.both, 'POST', `${path}/report?company_id=${companyId}`, report);
    expect(codeOf(reported)).toEqual([409, 'reauthorization_required']);
    const refused = await ofSession(first, companyId);
    expect(codeOf(refused)).toEqual([409, 'reauthorization_required']);

    // Whoever has to begin anew is told where; the browser is the same one.
    const url = new URL(String(refused.body['authorize_url']));
    const hosts = [url.host, new URL(world.simulator.url).host];
    const landed = await ann.browser.follow(url.href, hosts);
    const ticket = new URL(landed.headers.get('location') ?? '').searchParams.get('ticket');
    const { body } = await trade(ticket);
    expect(body['session_id']).not.toBe(first);
    expect((await ofSession(body['session_id'], companyId)).status).toBe(200);
    expect(codeOf(await ofSession(first, companyId))).toEqual([409, 'reauthorization_required']);

    const { body: after } = await ofCompany(companyId);
    expect(after).toMatchObject({ access_token: before['access_token'], version: 1 });
  });

  it.each([
    ['is away', { status: 503 }, [503, 'provider_unavailable']],
    ['refuses the code there', { status: 400, body: { error: 'invalid_grant' } }, [400, 'invalid_request']],
    ['makes no sense there', { malformed: 'no_token' }, [502, 'provider_protocol_error']],
    ['refuses us there', { status: 403 }, [502, 'provider_misconfigured']],
  ])('keeps the company where only the user’s half fails, and says so: %s', async (_, fault, expected) => {
    const exchange = { provider: 'fynd', operation: 'exchange', times: 1 };
    await world.simulator.fault({ ...exchange, delay_ms: 1 });
    await world.simulator.fault({ ...exchange, ...fault });
    const companyId = nextCompany();
    const ann = await Seller.of(world, 'ann');
    const { status, text, landing } = await ann.open(brokers.both, companyId);
    expect([status, landing]).toEqual([expected[0], null]);
    expect(text).toContain('The company is connected');
    expect(text).toMatch(/begin again/i);
    expect(text).not.toContain('Nothing was');
    expect((await ofCompany(companyId)).status).toBe(200);
    expect(await world.sql('select id from online_sessions')).toEqual([]);

    const [, href = ''] = /href="([^"]+)"/.exec(text) ?? [];
    const again = new URL(href.replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))));
    const landed = await ann.browser.follow(again.href, [again.host, new URL(world.simulator.url).host]);
    const ticket = new URL(landed.headers.get('location') ?? '').searchParams.get('ticket');
    expect((await trade(ticket)).status).toBe(201);
    expect((await ofCompany(companyId)).body['version']).toBe(1);
  });

  it('keeps nothing where the company’s half fails', async () => {
    await world.simulator.fault({ provider: 'fynd', operation: 'exchange', times: 1, status: 503 });
    const companyId = nextCompany();
    const { status, text } = await (await Seller.of(world, 'ann')).open(brokers.both, companyId);
    expect([status, text]).toEqual([503, expect.stringContaining('Nothing was changed')]);
    expect(codeOf(await ofCompany(companyId))).toEqual([404, 'connection_not_found']);
    expect(await world.sql('select id from online_sessions')).toEqual([]);
    expect((await world.simulator.ledger()).counters['calls']).toBe(1);
  });
});
