import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from '../../src/app.module.js';
import { AuditFlush } from '../../src/audit/audit-flush.js';
import type { KnownRequest } from '../../src/http/access.js';
import type { Caller } from '../../src/http/caller.js';
import { ClientGuard } from '../../src/clients/client.guard.js';
import { Environment } from '../../src/config/environment.js';
import { readSettings } from '../../src/config/settings.js';
import { createAdapter } from '../../src/http/adapter.js';
import { Secret } from '../../src/shared/secret.js';
import { SessionService } from '../../src/session/session.service.js';
import { type Json } from '../support/http.js';
import { beginSession, openSession } from '../support/sessions.js';
import { trailOf } from '../support/trail.js';
import { useWorld, type LocalBroker } from '../support/world.js';
import { callerWho } from '../support/caller.js';

const world = useWorld();
let broker: LocalBroker;
let sessions: SessionService;
let companies = 8_000;

beforeAll(async () => {
  broker = await world.local();
  sessions = broker.broker.app.get(SessionService);
});

const nextCompany = (): string => String(++companies);
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

/** Somebody who may do these, each `action resource`, and nothing else. */
function callerWith(...permissions: string[]): Caller {
  return callerWho((action, resource) => permissions.includes(`${action} ${resource}`));
}

const reader = (companyId: string): Caller => callerWith(`token:read-session fynd/companies/${companyId}`);

describe('a caller who may not read the sessions of a company', () => {
  /** Permissions that come near. */
  const others = (companyId: string): Caller[] => [
    callerWith(),
    reader(nextCompany()),
    callerWith(`token:read-session konnect/companies/${companyId}`, 'token:read-session **'),
    callerWith(
      ...['token:read', 'token:report', 'connection:write'].map((it) => `${it} fynd/companies/${companyId}`),
    ),
  ];

  it('is refused the trade, and the ticket is still there for one who may', async () => {
    const companyId = nextCompany();
    const { ticket } = await openSession(world, broker, { companyId });
    for (const caller of others(companyId))
      expect(codeOf(await sessions.trade(new Secret(ticket), caller).catch((error: unknown) => error))).toBe(
        'forbidden',
      );
    const { session } = await sessions.trade(new Secret(ticket), reader(companyId));
    expect(session.companyId).toBe(companyId);
  });

  it('finds no session to end, and ends none', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId });
    for (const caller of others(companyId))
      expect(codeOf(await sessions.revoke(new Secret(id), caller).catch((error: unknown) => error))).toBe(
        'session_not_found',
      );
    const denied = await trailOf(world, [broker], `resource = $1 and outcome = 'denied'`, [
      `fynd/companies/${companyId}`,
    ]);
    expect(denied.map(({ action, reason }) => [action, reason])).toEqual(
      others(companyId).map(() => ['token:read-session', 'forbidden']),
    );
    expect((await sessions.revoke(new Secret(id), reader(companyId))).upstream).toBe('unsupported');
  });
});

describe('a request, as its caller is permitted', () => {
  let app: NestFastifyApplication;
  let environment: Environment;
  let caller: Caller | undefined;

  beforeAll(async () => {
    environment = new Environment(world.environment());
    const whole = AppModule.with(readSettings(environment), world.clock);
    app = await NestFactory.create<NestFastifyApplication>(whole, createAdapter([]), {
      bodyParser: false,
      logger: false,
    });
    // In place of authentication, which knows one caller, who may do everything.
    const fastify = app.getHttpAdapter().getInstance();
    fastify.addHook('onRequest', (request, _, done) => {
      if (caller) (request as KnownRequest).caller = caller;
      done();
    });
    app.get(ClientGuard).guard(fastify);
    await app.init();
  });
  afterAll(async () => {
    await app.close();
    environment.close();
  });

  async function as(
    who: Caller | undefined,
    method: 'GET' | 'POST',
    url: string,
    report: object = { version: 1, status: 401 },
  ): Promise<[number, Json]> {
    caller = who;
    const payload = method === 'POST' ? report : undefined;
    const answer = await app.inject({ method, url, ...(payload ? { payload } : {}) });
    return [answer.statusCode, answer.json<Json>()];
  }

  it('a session is read with token:read-session for its company, and with nothing else', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId });
    const url = `/v1/tokens/fynd/sessions/${id}?company_id=${companyId}`;
    expect((await as(reader(companyId), 'GET', url))[0]).toBe(200);
    expect((await as(undefined, 'GET', url))[0]).toBe(401);
    const company = `fynd/companies/${companyId}`;
    for (const action of ['token:read', 'token:report', 'token:read-personal', 'connection:read'])
      expect([action, (await as(callerWith(`${action} ${company}`), 'GET', url))[0]]).toEqual([action, 403]);
    expect((await as(reader(nextCompany()), 'GET', url))[0]).toBe(403);
  });

  it('it is reported with token:report and token:read-session, since the answer is its token', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId });
    const url = `/v1/tokens/fynd/sessions/${id}/report?company_id=${companyId}`;
    expect((await as(reader(companyId), 'POST', url))[0]).toBe(403);
    const company = `fynd/companies/${companyId}`;
    const reporter = callerWith(
      `token:report ${company}`,
      `token:read-session fynd/companies/${nextCompany()}`,
    );
    // Also of another version, whose report does nothing and is answered with the token.
    for (const version of [1, 2]) {
      const [status, body] = await as(reporter, 'POST', url, { version, status: 401 });
      expect([status, body['code'], 'access_token' in body]).toEqual([403, 'forbidden', false]);
    }
    expect((await as(reporter, 'POST', url, { version: 'x' }))[0]).toBe(403);
    await app.get(AuditFlush).flush();
    const lacking = await trailOf(world, [], `resource = $1 and outcome = 'denied'`, [company]);
    // What came within one millisecond stands in no order.
    expect(lacking.map(({ action, reason }) => `${String(action)} ${String(reason)}`).sort()).toEqual([
      ...[1, 2, 3].map(() => 'token:read-session forbidden'),
      'token:report forbidden',
    ]);
    // Nothing of that was taken for a report.
    expect((await as(reader(companyId), 'GET', url.replace('/report', '')))[0]).toBe(200);
    const both = callerWith(`token:report ${company}`, `token:read-session ${company}`);
    expect((await as(both, 'POST', url, { version: 2, status: 401 }))[0]).toBe(200);
    const [status, body] = await as(both, 'POST', url);
    expect([status, body['code']]).toEqual([409, 'reauthorization_required']);
    expect(body).not.toHaveProperty('authorize_url');
  });

  it('permission is judged without a look at what there is, after the path and the company', async () => {
    const nobody = callerWith();
    const unknown = '/v1/tokens/fynd/sessions/unknown';
    const statusOf = async (url: string): Promise<number> => (await as(nobody, 'GET', url))[0];
    expect(await statusOf('/v1/tokens/fynd/sessions/a.b')).toBe(400);
    expect(await statusOf(unknown)).toBe(400);
    expect(await statusOf(`${unknown}?company_id=..`)).toBe(400);
    expect(await statusOf(`${unknown}?company_id=42`)).toBe(403);
    expect(await statusOf(`${unknown}?company_id=42&min_ttl=x&what=1`)).toBe(403);
    expect(await statusOf(`/v1/tokens/nobody/sessions/unknown?company_id=42`)).toBe(403);
    const mine = `${unknown}?company_id=42`;
    expect((await as(reader('42'), 'GET', `${mine}&what=1`))[0]).toBe(400);
    expect((await as(reader('42'), 'GET', mine))[1]['code']).toBe('session_not_found');
  });

  it('the way to consent is told to those who may connect the company, and not to others', async () => {
    const companyId = nextCompany();
    const { id } = await beginSession(world, broker, { companyId, ttl: 100 });
    await world.advance(101);
    const url = `/v1/tokens/fynd/sessions/${id}?company_id=${companyId}`;
    const [status, body] = await as(reader(companyId), 'GET', url);
    expect([status, body['code'], body['authorize_url']]).toEqual([
      409,
      'reauthorization_required',
      undefined,
    ]);
    const company = `fynd/companies/${companyId}`;
    const writer = callerWith(`token:read-session ${company}`, `connection:write ${company}`);
    expect((await as(writer, 'GET', url))[1]['authorize_url']).toContain(`company_id=${companyId}`);
    const elsewhere = callerWith(`token:read-session ${company}`, `connection:write fynd/companies/1`);
    expect((await as(elsewhere, 'GET', url))[1]).not.toHaveProperty('authorize_url');
  });
});
