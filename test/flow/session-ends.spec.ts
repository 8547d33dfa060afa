import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { BROKER } from '../../src/shared/actor.js';
import { SessionService } from '../../src/session/session.service.js';
import type { Answer, Json } from '../support/http.js';
import { beginSession, openSession } from '../support/sessions.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let sessions: SessionService;
let companies = 7_000;

beforeAll(async () => {
  broker = await world.local();
  sessions = broker.broker.app.get(SessionService);
});

const nextCompany = (): string => String(++companies);
const read = (id: string, companyId: string, more = ''): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/fynd/sessions/${id}?company_id=${companyId}${more}`);
const report = (id: string, companyId: string, body: unknown): Promise<Answer> =>
  world.api(broker, 'POST', `/v1/tokens/fynd/sessions/${id}/report?company_id=${companyId}`, body);
const remove = (id: string): Promise<Answer> => world.api(broker, 'DELETE', `/v1/sessions/${id}`);
const codeOf = ({ status, body }: Answer): unknown[] => [status, body['code']];
const OVER = [409, 'reauthorization_required'];
const GONE = [404, 'session_not_found'];

async function rowsOf(companyId: string): Promise<Json[]> {
  return world.sql<Json>(
    `select id, sealed_token is not null as sealed from online_sessions where company_id = $1`,
    [companyId],
  );
}

describe('a session that has expired', () => {
  it('asks for the user, with the link that leads there, and asks nothing of the provider', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId, ttl: 100 });
    const { counters } = await world.simulator.ledger('?limit=0');
    await world.advance(101);
    const answer = await read(id, companyId, '&min_ttl=0');
    expect(codeOf(answer)).toEqual(OVER);
    expect(answer.body['authorize_url']).toBe(
      `${broker.public}/fp/install?company_id=${companyId}&client_id=${API_KEY}&cluster_url=${encodeURIComponent(world.simulator.url)}`,
    );
    expect(answer.body).not.toHaveProperty('connection_id');
    expect(codeOf(await read(id, companyId, '&min_ttl=3600&scope=x'))).toEqual(OVER);
    expect((await world.simulator.ledger('?limit=0')).counters).toEqual(counters);
  });

  it('loses its token when somebody opens another, says so for a day, and is forgotten', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId, ttl: 100 });
    await openSession(world, broker, { companyId: nextCompany() });
    expect(await rowsOf(companyId)).toEqual([{ id: expect.any(String), sealed: true }]);

    await world.advance(101);
    await openSession(world, broker, { companyId: nextCompany() });
    expect(await rowsOf(companyId)).toEqual([{ id: expect.any(String), sealed: false }]);
    expect(codeOf(await read(id, companyId))).toEqual(OVER);

    await world.advance(86_400 - 60);
    await openSession(world, broker, { companyId: nextCompany() });
    expect(codeOf(await read(id, companyId))).toEqual(OVER);

    await world.advance(120);
    await openSession(world, broker, { companyId: nextCompany() });
    expect(await rowsOf(companyId)).toEqual([]);
    expect(codeOf(await read(id, companyId))).toEqual(GONE);
  });
});

describe('what is over', () => {
  it('is a ticket that nobody traded, and the token with it', async () => {
    const companyId = nextCompany();
    await openSession(world, broker, { companyId });
    await world.advance(50);
    await openSession(world, broker, { companyId: nextCompany() });
    expect(await rowsOf(companyId)).toHaveLength(1);
    await world.advance(15);
    await openSession(world, broker, { companyId: nextCompany() });
    expect(await rowsOf(companyId)).toEqual([]);
  });

  it('is cleared away a hundred rows at a time, without waiting for those that somebody holds', async () => {
    const companyId = nextCompany();
    await world.sql(
      `insert into online_sessions (id, provider, company_id, ticket_hash, ticket_expires_at, token_type,
                                    token_fingerprint, issued_at)
       select gen_random_uuid(), 'fynd', $1, sha256(n::text::bytea), broker_now() - interval '1 s', 'Bearer', '', broker_now()
       from generate_series(1, 250) n`,
      [companyId],
    );
    const holder = new Client({ connectionString: world.databaseUrl });
    await holder.connect();
    const left: number[] = [];
    try {
      await holder.query('begin');
      await holder.query('select 1 from online_sessions where company_id = $1 limit 5 for update', [
        companyId,
      ]);
      for (let opening = 0; opening < 4; opening++) {
        await openSession(world, broker, { companyId: nextCompany() });
        left.push((await rowsOf(companyId)).length);
      }
    } finally {
      await holder.end();
    }
    expect(left).toEqual([150, 50, 5, 5]);
    await openSession(world, broker, { companyId: nextCompany() });
    expect(await rowsOf(companyId)).toEqual([]);
  });
});

describe('a report that the provider refused the token', () => {
  const refused = { version: 1, status: 401 };

  it('ends it for its readers, and for the reporter at once', async () => {
    const companyId = nextCompany();
    const one = await beginSession(world, broker, { companyId, userId: 'ann' });
    const other = await beginSession(world, broker, { companyId, userId: 'bob' });
    const answer = await report(one.id, companyId, refused);
    expect(codeOf(answer)).toEqual(OVER);
    expect(answer.body['authorize_url']).toContain(`company_id=${companyId}`);
    expect(codeOf(await read(one.id, companyId, '&min_ttl=0'))).toEqual(OVER);
    expect(codeOf(await report(one.id, companyId, refused))).toEqual(OVER);
    expect((await read(other.id, companyId)).body['access_token']).toBe(other.token);
  });

  it('of a version that there is not is answered with the token, which stays', async () => {
    const companyId = nextCompany();
    const { id, token } = await beginSession(world, broker, { companyId, userId: 'ann' });
    const { status, body } = await report(id, companyId, { version: 2, status: 401 });
    expect(status).toBe(200);
    expect(body).toMatchObject({ access_token: token, version: 1, user: { id: 'ann' } });
    expect((await read(id, companyId)).status).toBe(200);
    await report(id, companyId, refused);
    expect(codeOf(await report(id, companyId, { version: 2, status: 401 }))).toEqual(OVER);
  });

  it('with 403 is about what this user may do, and ends nothing', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId });
    expect(codeOf(await report(id, companyId, { version: 1, status: 403 }))).toEqual([422, 'not_renewable']);
    const malformed = [{ version: 1, status: 500 }, { version: 0, status: 401 }, { version: 1 }, {}];
    for (const body of malformed)
      expect([body, ...codeOf(await report(id, companyId, body))]).toEqual([body, 400, 'invalid_request']);
    expect((await read(id, companyId)).status).toBe(200);
  });

  it("reaches nothing but its own company's session", async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId });
    expect(codeOf(await report(id, nextCompany(), refused))).toEqual(GONE);
    expect(codeOf(await report('unknown', companyId, refused))).toEqual(GONE);
    expect((await read(id, companyId)).status).toBe(200);
  });
});

describe('a session that is ended', () => {
  it('is gone with its token, and the answer says until when the provider still takes that', async () => {
    const companyId = nextCompany();
    const { id, token } = await beginSession(world, broker, { companyId });
    const { expires_at } = (await read(id, companyId)).body;
    const { status, body } = await remove(id);
    expect(status).toBe(200);
    expect(body).toEqual({ upstream: 'unsupported', token_valid_until: expires_at });
    expect(await world.simulator.resource(token)).toBe(200);
    expect(await rowsOf(companyId)).toEqual([]);
    expect(codeOf(await read(id, companyId))).toEqual(GONE);
    expect(codeOf(await remove(id))).toEqual(GONE);
  });

  it('after it expired leaves nothing behind that is still valid', async () => {
    const { id } = await beginSession(world, broker, { companyId: nextCompany(), ttl: 100 });
    await world.advance(101);
    expect((await remove(id)).body).toEqual({
      upstream: 'unsupported',
      token_valid_until: null,
    });
  });

  it('is named by its id: a ticket, a made-up id and a malformed one end nothing', async () => {
    const companyId = nextCompany();
    const { ticket } = await openSession(world, broker, { companyId });
    expect(codeOf(await remove(ticket))).toEqual(GONE);
    expect(codeOf(await remove('A'.repeat(43)))).toEqual(GONE);
    for (const id of ['a.b', 'x'.repeat(65), '%20'])
      expect([id, ...codeOf(await remove(id))]).toEqual([id, 400, 'invalid_request']);
    expect(codeOf(await remove(`x?company_id=${companyId}`))).toEqual([400, 'invalid_request']);
    expect(await rowsOf(companyId)).toHaveLength(1);
  });
});

describe('an uninstall', () => {
  it("ends all of a company's sessions with this provider, traded or not, and no other", async () => {
    const [companyId, neighbour] = [nextCompany(), nextCompany()];
    const one = await beginSession(world, broker, { companyId, userId: 'ann' });
    const two = await beginSession(world, broker, { companyId, userId: 'bob' });
    const { ticket } = await openSession(world, broker, { companyId, userId: 'cid' });
    const theirs = await beginSession(world, broker, { companyId: neighbour });
    expect(await sessions.endAllOf('konnect', companyId, BROKER)).toBe(0);
    expect(await sessions.endAllOf('fynd', companyId, BROKER)).toBe(3);
    expect(await sessions.endAllOf('fynd', companyId, BROKER)).toBe(0);

    for (const { id } of [one, two]) expect(codeOf(await read(id, companyId))).toEqual(GONE);
    expect(codeOf(await world.api(broker, 'POST', '/v1/sessions', { ticket }))).toEqual(GONE);
    expect(await rowsOf(companyId)).toEqual([]);
    expect((await read(theirs.id, neighbour)).status).toBe(200);
  });

  it('may be proven with the tokens that live, the longest first, and ends those one by one', async () => {
    const [companyId, neighbour] = [nextCompany(), nextCompany()];
    const short = await beginSession(world, broker, { companyId, ttl: 500 });
    const long = await beginSession(world, broker, { companyId, ttl: 5_000 });
    const untraded = await openSession(world, broker, { companyId, ttl: 900 });
    await beginSession(world, broker, { companyId, ttl: 100 });
    await beginSession(world, broker, { companyId: neighbour });
    await report(short.id, companyId, { version: 1, status: 401 });
    await world.advance(200);

    const living = await sessions.livingTokensOf('fynd', companyId, 10);
    expect(living.map(({ token }) => token.reveal())).toEqual([long.token, untraded.token, short.token]);
    expect(await sessions.livingTokensOf('fynd', companyId, 1)).toHaveLength(1);
    expect(await sessions.livingTokensOf('konnect', companyId, 10)).toEqual([]);

    const [first] = living;
    await sessions.end(first?.id ?? '', BROKER);
    await sessions.end(first?.id ?? '', BROKER);
    expect(codeOf(await read(long.id, companyId))).toEqual(GONE);
    expect(await sessions.livingTokensOf('fynd', companyId, 10)).toHaveLength(2);
  });
});
