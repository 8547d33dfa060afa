import { beforeAll, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 7_000;

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});

const call = (method: string, path: string): Promise<Answer> =>
  world.api(broker, method, `/v1/connections${path}`);
const token = (company: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/fynd/companies/${company}`);

async function connectionOf(company: string): Promise<Json> {
  return ((await call('GET', `?company_id=${company}`)).body['items'] as Json[])[0] ?? {};
}

async function installed(): Promise<{ company: string; connection: Json; id: string }> {
  const company = String(++companies);
  await world.install(broker, company);
  const connection = await connectionOf(company);
  return { company, connection, id: String(connection['id']) };
}

async function renewals(company: string): Promise<unknown> {
  return (await world.simulator.ledger(`?operation=renew&company_id=${company}&limit=0`)).counters['calls'];
}

const held = async (): Promise<boolean> => (await world.simulator.ledger('?limit=0')).counters['held'] === 1;
const holdRenewal = (company: string, fault: Json = {}): Promise<unknown> =>
  world.simulator.fault({
    provider: 'fynd',
    operation: 'renew',
    company_id: company,
    times: 1,
    hold_until_released: true,
    ...fault,
  });

async function sealedOf(id: string): Promise<unknown> {
  const [row] = await world.sql(
    'select sealed_grant is null as "grant", sealed_token is null as token from connections where id = $1',
    [id],
  );
  return row;
}

describe('DELETE', () => {
  it('tells honestly what the provider still accepts, and erases what was sealed', async () => {
    const { company, connection, id } = await installed();
    expect(await sealedOf(id)).toEqual({ grant: false, token: false });
    const accessToken = (await token(company)).body['access_token'];
    const { status, body } = await call('DELETE', `/${id}`);
    expect(status).toBe(200);
    expect(body).toEqual({ upstream: 'unsupported', token_valid_until: connection['expires_at'] });
    expect(await world.simulator.resource(accessToken)).toBe(200);
    expect(await sealedOf(id)).toEqual({ grant: true, token: true });
    expect(await connectionOf(company)).toMatchObject({
      id,
      status: 'revoked',
      status_reason: expect.any(String),
      token_version: 1,
      renew_at: null,
    });
  });

  it('is the same again', async () => {
    const { id, company } = await installed();
    const first = await call('DELETE', `/${id}`);
    const revoked = await connectionOf(company);
    const second = await call('DELETE', `/${id}`);
    expect([second.status, second.body]).toEqual([200, first.body]);
    expect(await connectionOf(company)).toEqual(revoked);
  });

  it('of a token that has expired says that nothing is accepted any more', async () => {
    const { id } = await installed();
    await world.advance(3_601);
    expect((await call('DELETE', `/${id}`)).body).toEqual({
      upstream: 'unsupported',
      token_valid_until: null,
    });
  });

  it('ends reading, reporting and renewing at once, and nobody is asked any more', async () => {
    const { company, id } = await installed();
    await call('DELETE', `/${id}`);
    const report = { version: 1, status: 401 };
    for (const { status, body } of [
      await token(company),
      await world.api(broker, 'POST', `/v1/tokens/fynd/companies/${company}/report`, report),
      await call('POST', `/${id}/renew`),
    ]) {
      expect([status, body['code']]).toEqual([410, 'connection_revoked']);
    }
    await world.advance(7_200);
    const scheduled = await world.local();
    await scheduled.broker.app.get(RenewalSchedule).tick();
    await scheduled.broker.stop();
    expect(await renewals(company)).toBe(0);
  });

  it('cannot be undone by a renewal that is still out, whatever that brings', async () => {
    const answers: Json[] = [{}, { perform_first: true }, { status: 400, body: { error: 'invalid_grant' } }];
    for (const answer of [...answers, { status: 503 }]) {
      const { company, id } = await installed();
      await holdRenewal(company, answer);
      const renewing = call('POST', `/${id}/renew`);
      await eventually(held);
      await call('DELETE', `/${id}`);
      const revoked = await connectionOf(company);
      await world.simulator.control('POST', 'release');
      await renewing;
      expect([answer, await connectionOf(company)]).toEqual([answer, revoked]);
      expect(revoked['status']).toBe('revoked');
      expect(await sealedOf(id)).toEqual({ grant: true, token: true });
      expect((await token(company)).status).toBe(410);
    }
  });
});

describe('renewing by hand', () => {
  it('brings the next version at once, however fresh the token in hand is', async () => {
    const { company, connection, id } = await installed();
    await world.advance(60);
    const { status, body } = await call('POST', `/${id}/renew`);
    expect(status).toBe(200);
    expect(body).toEqual({
      ...connection,
      token_version: 2,
      token_fingerprint: expect.not.stringMatching(String(connection['token_fingerprint'])),
      expires_at: expect.any(String),
      renew_at: expect.any(String),
      next_try_at: expect.any(String),
      advice: expect.stringContaining('All is well'),
      last_renewed_at: expect.any(String),
      updated_at: expect.any(String),
    });
    const lives = Date.parse(String(body['expires_at'])) - world.clock.now().getTime();
    expect(Math.abs(lives - 3_600_000)).toBeLessThan(2_000);
    expect((await token(company)).body['version']).toBe(2);
  });

  it('is one renewal for all who ask at the same time', async () => {
    const { company, id } = await installed();
    // Long enough for all of them to have come, however busy the machine is: a later one would renew again, and rightly.
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      company_id: company,
      delay_ms: 2_000,
    });
    const answers = await Promise.all(Array.from({ length: 20 }, () => call('POST', `/${id}/renew`)));
    expect(answers.map(({ body }) => body['token_version'])).toEqual(answers.map(() => 2));
    expect(await renewals(company)).toBe(1);
  });

  it('goes before the end of a backoff, and what came of it can be seen', async () => {
    const { company, id } = await installed();
    await call('POST', `/${id}/renew`);
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      company_id: company,
      times: 1,
      status: 503,
      retry_after: 600,
    });
    await call('POST', `/${id}/renew`);
    expect(await connectionOf(company)).toMatchObject({
      status: 'active',
      last_error: 'server_error',
      consecutive_failures: 1,
      token_version: 2,
    });
    await call('POST', `/${id}/renew`);
    expect(await connectionOf(company)).toMatchObject({
      last_error: null,
      consecutive_failures: 0,
      token_version: 3,
    });
  });
});

describe('one row per subject for ever', () => {
  it('a credential kept after DELETE revives the same connection, whose versions count on', async () => {
    const company = String(++companies);
    const made = await world.keepKonnect(broker, company);
    const id = String(made.body['id']);
    await call('DELETE', `/${id}`);
    const { body } = await world.keepKonnect(broker, company);
    expect(body).toMatchObject({ id, token_version: 2, status: 'active', status_reason: null });
    expect(body['created_at']).toBe(made.body['created_at']);
    const served = await world.api(broker, 'GET', `/v1/tokens/konnect/companies/${company}`);
    expect(served.body).toMatchObject({ version: 2, connection_id: id });
  });

  it('an installation after DELETE does, too', async () => {
    const { company, id } = await installed();
    await call('DELETE', `/${id}`);
    await world.simulator.control('POST', 'fynd/uninstall', { company_id: Number(company) });
    await world.install(broker, company);
    expect(await connectionOf(company)).toMatchObject({ id, token_version: 2, status: 'active' });
  });

  it('a revival is not undone by a renewal from before the DELETE', async () => {
    const { company, id } = await installed();
    await holdRenewal(company);
    const renewing = call('POST', `/${id}/renew`);
    await eventually(held);
    await call('DELETE', `/${id}`);
    await world.simulator.control('POST', 'fynd/uninstall', { company_id: Number(company) });
    await world.install(broker, company);
    const revived = (await token(company)).body;
    await world.simulator.control('POST', 'release');
    await renewing;
    const { body } = await token(company);
    expect([body['access_token'], body['version'], body['stale']]).toEqual([
      revived['access_token'],
      revived['version'],
      false,
    ]);
    expect(await world.simulator.resource(body['access_token'])).toBe(200);
  });
});
