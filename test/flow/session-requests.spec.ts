import { beforeAll, describe, expect, it } from '@jest/globals';
import { SessionService } from '../../src/session/session.service.js';
import type { Answer, Json } from '../support/http.js';
import { dumpAsText } from '../support/postgres.js';
import { beginSession, openSession } from '../support/sessions.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 6_000;

beforeAll(async () => {
  broker = await world.local();
});

const nextCompany = (): string => String(++companies);
const read = (id: string, query: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/fynd/sessions/${id}?${query}`);
const codeOf = ({ status, body }: Answer): unknown[] => [status, body['code']];
const fieldsOf = (body: Json): unknown[] => (body['errors'] as Json[]).map(({ field }) => field);

describe("the request for a session's token", () => {
  it('names the session in its path, before anything else is looked at', async () => {
    for (const id of ['a.b', '%20', 'a%2fb', '%C3%BC', '*', 'x'.repeat(65)]) {
      for (const query of ['', 'company_id=1']) {
        const { status, body } = await read(id, query);
        expect([id, status, fieldsOf(body)]).toEqual([id, 400, ['session_id']]);
      }
    }
    expect((await read('x'.repeat(64), 'company_id=1')).status).toBe(404);
  });

  it('names the company, once, in its query', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId });
    const given = `company_id=${companyId}`;
    const path = `/v1/tokens/fynd/sessions/${id}`;
    const report = { version: 1, status: 401 };
    for (const query of ['', 'company_id=', 'company_id=..', 'company_id=a%2fb', `${given}&${given}`]) {
      const answers = [
        await world.api(broker, 'GET', `${path}?${query}`),
        await world.api(broker, 'POST', `${path}/report?${query}`, report),
      ];
      for (const { status, body } of answers)
        expect([query, status, fieldsOf(body)]).toEqual([query, 400, ['company_id']]);
    }
  });

  it('has no parameters but those of a company', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId });
    const bad = ['what=1', 'level=location', 'min_ttl=x', 'scope=', 'min_ttl=1&min_ttl=1', '__proto__=1'];
    for (const query of bad) {
      const answer = await read(id, `company_id=${companyId}&${query}`);
      expect([query, ...codeOf(answer)]).toEqual([query, 400, 'invalid_request']);
    }
    const path = `/v1/tokens/fynd/sessions/${id}/report?company_id=${companyId}&min_ttl=1`;
    const report = await world.api(broker, 'POST', path, { version: 1, status: 401 });
    expect(codeOf(report)).toEqual([400, 'invalid_request']);
  });

  it('is told which scopes this user lacks', async () => {
    const companyId = nextCompany();
    const issued = { scopes: ['company/products'] };
    const { id } = await beginSession(world, broker, { companyId, issued });
    expect((await read(id, `company_id=${companyId}&scope=company/products`)).status).toBe(200);
    const query = `company_id=${companyId}&scope=company/orders,company/products,x`;
    const { status, body } = await read(id, query);
    expect([status, body['code'], body['missing_scopes']]).toEqual([
      409,
      'scope_missing',
      ['company/orders', 'x'],
    ]);
  });

  it('for a longer life than is left asks for the user, or for less than any token of this length has', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId, ttl: 600 });
    const ask = (minTtl: number, more = ''): Promise<Answer> =>
      read(id, `company_id=${companyId}&min_ttl=${minTtl}${more}`);
    const most = await ask(541);
    expect([...codeOf(most), most.body['max_ttl']]).toEqual([409, 'ttl_unsatisfiable', 540]);
    expect((await ask(540)).status).toBe(200);

    await world.advance(400);
    expect((await ask(150)).status).toBe(200);
    const tooShort = await ask(540);
    expect(codeOf(tooShort)).toEqual([409, 'reauthorization_required']);
    expect(tooShort.body).not.toHaveProperty('max_ttl');
    expect((await ask(541)).body['max_ttl']).toBe(540);
    // In the order of the contract, where several are true.
    expect(codeOf(await ask(540, '&scope=x'))).toEqual([409, 'reauthorization_required']);
    expect(codeOf(await ask(541, '&scope=x'))).toEqual([409, 'scope_missing']);
  });
});

describe('what is kept of a session', () => {
  it('holds neither ticket nor id, and no token in plain; nor does the log', async () => {
    const companyId = nextCompany();
    const { ticket } = await openSession(world, broker, { companyId });
    const waiting = await openSession(world, broker, { companyId });
    const { body } = await world.api(broker, 'POST', '/v1/sessions', { ticket });
    const id = String(body['session_id']);
    await read(id, `company_id=${companyId}`);
    await read(id, `company_id=${companyId}0`);
    const kept = [...(await dumpAsText(world.databaseUrl)), ...world.logs].join('\n');
    expect(kept).toContain(companyId);
    for (const secret of [ticket, waiting.ticket, id, waiting.token]) {
      expect(kept).not.toContain(secret);
      expect(kept).not.toContain(Buffer.from(secret).toString('hex'));
      expect(kept).not.toContain(Buffer.from(secret, 'base64url').toString('hex'));
    }
  });

  it('opens in its own row alone: tokens that were swapped are answered to nobody', async () => {
    const companyId = nextCompany();
    const ann = await beginSession(world, broker, { companyId, userId: 'ann' });
    const bob = await beginSession(world, broker, { companyId, userId: 'bob' });
    const swap = `update online_sessions a set sealed_token = b.sealed_token from online_sessions b
      where a.company_id = $1 and b.company_id = $1 and a.id <> b.id`;
    await world.sql(swap, [companyId]);
    for (const { id } of [ann, bob]) {
      const answer = await read(id, `company_id=${companyId}`);
      expect(codeOf(answer)).toEqual([500, 'internal_error']);
      expect(answer.text).not.toMatch(/secret|access_token|sealed/);
    }
    const sessions = broker.broker.app.get(SessionService);
    expect(await sessions.livingTokensOf('fynd', companyId, 10)).toEqual([]);
    await world.sql(swap, [companyId]);
    expect((await read(bob.id, `company_id=${companyId}`)).body['access_token']).toBe(bob.token);
  });

  it('opens for its own company alone: a row that was given to another is answered to nobody', async () => {
    const [companyId, other] = [nextCompany(), nextCompany()];
    const { id } = await beginSession(world, broker, { companyId });
    await world.sql('update online_sessions set company_id = $2 where company_id = $1', [companyId, other]);
    expect(codeOf(await read(id, `company_id=${other}`))).toEqual([500, 'internal_error']);
  });
});
