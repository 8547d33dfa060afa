import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { BROKER } from '../../src/shared/actor.js';
import { SessionService } from '../../src/session/session.service.js';
import { Secret } from '../../src/shared/secret.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { beginSession, openSession } from '../support/sessions.js';
import { useWorld, type LocalBroker } from '../support/world.js';

/** One extension on two clusters, and a provider that knows no sessions. */
const PROVIDERS = `
providers:
  fynd: { kind: fynd-platform, base_url: '\${FYND_BASE_URL}', api_key: '\${FYND_API_KEY}', api_secret: '\${FYND_API_SECRET}', scopes: '\${FYND_SCOPES}' }
  other: { kind: fynd-platform, base_url: '\${FYND_BASE_URL}/other', api_key: another, api_secret: '\${FYND_API_SECRET}' }
  konnect: { kind: konnect, base_url: '\${KONNECT_BASE_URL}' }
`;

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
let broker: LocalBroker;
let companies = 5_000;

beforeAll(async () => {
  const PROVIDERS_FILE = join(folder, 'providers.yaml');
  writeFileSync(PROVIDERS_FILE, PROVIDERS);
  broker = await world.local({ PROVIDERS_FILE });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nextCompany = (): string => String(++companies);
const trade = (ticket: string, at: { api: string } = broker): Promise<Answer> =>
  world.api(at, 'POST', '/v1/sessions', { ticket });
const read = (id: string, query: string, provider = 'fynd'): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/${provider}/sessions/${id}?${query}`);
const codeOf = ({ status, body }: Answer): unknown[] => [status, body['code']];

/** Whom the provider takes the bearer of a token for. */
async function userAt(token: unknown): Promise<unknown> {
  const path = '/service/platform/configuration/v1.0/application';
  const answer = await world.simulator.get(path, { authorization: `Bearer ${String(token)}` });
  return ((await answer.json()) as Json)['user_id'];
}

describe('a ticket', () => {
  it('is traded for a session: its id, company, user and end', async () => {
    const companyId = nextCompany();
    const { ticket } = await openSession(world, broker, { companyId, userId: 'ann' });
    expect(ticket).toMatch(/^[A-Za-z0-9_-]{43}$/);
    const { status, headers, body } = await trade(ticket);
    expect([status, headers.get('cache-control')]).toEqual([201, 'no-store']);
    expect(body).toEqual({
      session_id: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      company_id: companyId,
      user: { id: 'ann' },
      expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
    expect(body['session_id']).not.toBe(ticket);
  });

  it('is good once, here and at every other broker', async () => {
    const { ticket } = await openSession(world, broker, { companyId: nextCompany() });
    const other = await world.local();
    expect((await trade(ticket, other)).status).toBe(201);
    for (const at of [broker, other])
      expect(codeOf(await trade(ticket, at))).toEqual([404, 'session_not_found']);
  });

  it('is good once, however many trade it at the same moment over two brokers', async () => {
    const { ticket } = await openSession(world, broker, { companyId: nextCompany() });
    const brokers = [broker, await world.local()];
    // All are let go at the same moment, when each has found the ticket.
    const blocker = new Client({ connectionString: world.databaseUrl });
    await blocker.connect();
    await blocker.query('begin; select 1 from online_sessions where ticket_hash is not null for update');
    const trades = Array.from({ length: 8 }, (_, n) => trade(ticket, brokers[n % 2]));
    await eventually(async () => {
      const waiting = await world.sql(`select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`);
      return waiting.length === trades.length;
    });
    await blocker.query('commit');
    await blocker.end();
    const statuses = (await Promise.all(trades)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([201, 404, 404, 404, 404, 404, 404, 404]);
  });

  it('is good for a minute', async () => {
    const { ticket: early } = await openSession(world, broker, { companyId: nextCompany() });
    const { ticket: late } = await openSession(world, broker, { companyId: nextCompany() });
    await world.advance(50);
    expect((await trade(early)).status).toBe(201);
    await world.advance(10);
    expect(codeOf(await trade(late))).toEqual([404, 'session_not_found']);
  });

  it('that nobody issued finds nothing, and an id of a session is no ticket', async () => {
    const { id } = await beginSession(world, broker, { companyId: nextCompany() });
    for (const ticket of ['x', id, '\u0000', "' or true --", 'A'.repeat(43)]) {
      expect(codeOf(await trade(ticket))).toEqual([404, 'session_not_found']);
    }
  });

  it('comes alone, as a text', async () => {
    const bodies = [{}, { ticket: '' }, { ticket: 7 }, { ticket: null }, { ticket: ['x'] }, [], '"x"'];
    for (const body of [...bodies, { ticket: 'x'.repeat(257) }, { ticket: 'x', company_id: '1' }, '']) {
      const answer = await world.api(broker, 'POST', '/v1/sessions', body);
      expect([body, ...codeOf(answer)]).toEqual([body, 400, 'invalid_request']);
    }
    const queried = await world.api(broker, 'POST', '/v1/sessions?company_id=1', { ticket: 'x' });
    expect(codeOf(queried)).toEqual([400, 'invalid_request']);
  });
});

describe("a session's token", () => {
  it("is answered as every token is, with the user that it is of, and the provider takes it for that user's", async () => {
    const companyId = nextCompany();
    const { id, token } = await beginSession(world, broker, { companyId, userId: 'ann' });
    const { status, headers, body } = await read(id, `company_id=${companyId}`);
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(body).toEqual({
      access_token: token,
      token_type: 'Bearer',
      header: { name: 'Authorization', value: `Bearer ${token}` },
      base_url: world.simulator.url,
      expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      expires_in: expect.any(Number),
      refresh_after: expect.stringMatching(/Z$/),
      scopes: ['company/products', 'company/orders'],
      version: 1,
      stale: false,
      provider: 'fynd',
      company_id: companyId,
      location_id: null,
      level: 'company',
      connection_id: null,
      user: { id: 'ann' },
    });
    expect(Number(body['expires_in'])).toBeGreaterThan(3_580);
    expect(Number(body['expires_in'])).toBeLessThanOrEqual(3_600);
    const [end, again] = [Date.parse(String(body['expires_at'])), Date.parse(String(body['refresh_after']))];
    expect(Math.floor((end - again) / 1_000)).toBe(Number(body['expires_in']) - 300);
    expect(await userAt(body['access_token'])).toBe('ann');
  });

  it('is worth asking about again before its end, where that is nearer than five minutes', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId, ttl: 120 });
    const { body } = await read(id, `company_id=${companyId}`);
    expect(body['refresh_after']).toBe(body['expires_at']);
  });

  it('that never expires says so', async () => {
    const companyId = nextCompany();
    const issued = { lifetimeSeconds: null };
    const { id } = await beginSession(world, broker, { companyId, issued });
    const { status, body } = await read(id, `company_id=${companyId}&min_ttl=3600`);
    expect([status, body['expires_at'], body['expires_in']]).toEqual([200, null, null]);
    expect(Date.parse(String(body['refresh_after']))).toBeGreaterThan(0);
  });

  it('of a user whom the provider did not name has no id of one', async () => {
    const companyId = nextCompany();
    const { app } = broker.broker;
    const token = {
      accessToken: new Secret('test-secret-of-nobody'),
      tokenType: 'Bearer',
      lifetimeSeconds: 60,
      lifetimeAssumed: false,
      scopes: null,
      grant: null,
      refreshTokenKept: null,
      sentAt: world.clock.monotonic(),
      dialect: 'online',
    };
    const provider = app.get(ProviderRegistry).get('fynd');
    const ticket = await app.get(SessionService).open(provider, companyId, token, null, BROKER);
    const { body } = await trade(ticket.reveal());
    expect(body['user']).toEqual({ id: null });
    const answer = await read(String(body['session_id']), `company_id=${companyId}`);
    expect([answer.body['user'], answer.body['scopes']]).toEqual([{ id: null }, []]);
  });

  it("is each user's own, however the users of one company take turns", async () => {
    const companyId = nextCompany();
    const ann = await openSession(world, broker, { companyId, userId: 'ann' });
    const bob = await openSession(world, broker, { companyId, userId: 'bob' });
    const bobs = String((await trade(bob.ticket)).body['session_id']);
    const anns = String((await trade(ann.ticket)).body['session_id']);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all([anns, bobs].map((id) => read(id, `company_id=${companyId}`)));
      expect(answers.map(({ body }) => [body['access_token'], body['user']])).toEqual([
        [ann.token, { id: 'ann' }],
        [bob.token, { id: 'bob' }],
      ]);
      expect(await Promise.all(answers.map(({ body }) => userAt(body['access_token'])))).toEqual([
        'ann',
        'bob',
      ]);
    }
  });

  it('is of one session: the same user in another browser has another one', async () => {
    const companyId = nextCompany();
    const laptop = await beginSession(world, broker, { companyId });
    const phone = await beginSession(world, broker, { companyId });
    expect(phone.id).not.toBe(laptop.id);
    await world.api(broker, 'DELETE', `/v1/sessions/${laptop.id}`);
    expect((await read(phone.id, `company_id=${companyId}`)).body['access_token']).toBe(phone.token);
  });

  it('is not there for another company or another provider than its own', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId });
    const unknown = 'A'.repeat(43);
    const wanted = [404, 'session_not_found'];
    expect(codeOf(await read(id, `company_id=${nextCompany()}`))).toEqual(wanted);
    expect(codeOf(await read(id, `company_id=${companyId}`, 'other'))).toEqual(wanted);
    expect(codeOf(await read(id, `company_id=${companyId}`, 'konnect'))).toEqual(wanted);
    expect(codeOf(await read(unknown, `company_id=${companyId}`))).toEqual(wanted);
    expect(codeOf(await read(id, `company_id=${companyId}`, 'nobody'))).toEqual([404, 'provider_not_found']);
    expect((await read(id, `company_id=${companyId}`)).status).toBe(200);
  });

  it('is never the answer for its company, nor a connection of it', async () => {
    const companyId = nextCompany();
    const { token } = await beginSession(world, broker, { companyId });
    const company = `/v1/tokens/fynd/companies/${companyId}`;
    const listed = `/v1/connections?company_id=${companyId}`;
    expect(codeOf(await world.api(broker, 'GET', company))).toEqual([404, 'connection_not_found']);
    expect((await world.api(broker, 'GET', listed)).body['items']).toEqual([]);

    await world.install(broker, companyId);
    const offline = await world.api(broker, 'GET', company);
    expect(offline.status).toBe(200);
    expect(offline.body['access_token']).not.toBe(token);
    expect(offline.body).not.toHaveProperty('user');
    expect((await world.api(broker, 'GET', listed)).body['items']).toHaveLength(1);
  });
});
