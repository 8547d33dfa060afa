import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { IMPORTED, obtainElsewhere, providersOf, simulated, type Imported } from '../support/elsewhere.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
const PROVIDERS_FILE = join(folder, 'providers.yaml');
let broker: LocalBroker;
let companies = 40_000;

beforeAll(async () => {
  writeFileSync(PROVIDERS_FILE, providersOf(world));
  broker = await world.local({ PROVIDERS_FILE });
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});
beforeEach(async () => {
  await world.sql('truncate connections, provider_states');
  // A reset sets the simulator's clock back, and Connect tells a time of day.
  const advance_s = (world.clock.now().getTime() - Date.now()) / 1_000;
  await world.simulator.control('POST', 'clock', { advance_s });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
  world.api(broker, method, `/v1${path}`, body);
const next = (): string => String(++companies);

async function look(): Promise<void> {
  const scheduled = await world.local({ PROVIDERS_FILE });
  await world.settle(scheduled);
  await scheduled.broker.stop();
}

async function renewals(provider: Imported): Promise<unknown> {
  const query = `?provider=${simulated(provider)}&operation=renew&limit=0`;
  return (await world.simulator.ledger(query)).counters['calls'];
}

const secondsTo = (time: unknown): number => (Date.parse(String(time)) - world.clock.now().getTime()) / 1_000;

describe.each(IMPORTED)('a grant of %s that was obtained elsewhere', (provider) => {
  const at = (company: string): string => `${provider}/companies/${company}`;
  const put = (company: string, body: unknown): Promise<Answer> =>
    call('PUT', `/connections/${at(company)}`, body);
  const token = (company: string, query = ''): Promise<Answer> =>
    call('GET', `/tokens/${at(company)}${query}`);
  const elsewhere = (company: string): Promise<{ access_token: string; refresh_token: string }> =>
    obtainElsewhere(world, provider, company);
  const found = async (company: string): Promise<Json> =>
    (
      (await call('GET', `/connections?provider=${provider}&company_id=${company}`)).body['items'] as Json[]
    )[0] ?? {};

  it('is kept with all that is known of it, and proven by nothing', async () => {
    const company = next();
    const scopes = ['a', 'read'];
    const { status, body, text } = await put(company, {
      ...(await elsewhere(company)),
      expires_in: 1_800,
      scopes,
    });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.any(String),
      provider,
      kind: provider === 'fynd' ? 'fynd-platform' : 'oauth2',
      company_id: company,
      location_id: null,
      level: 'company',
      status: 'active',
      status_reason: null,
      scopes,
      missing_scopes: [],
      token_version: 1,
      token_fingerprint: expect.any(String),
      expires_at: expect.any(String),
      renew_at: expect.any(String),
      next_try_at: expect.any(String),
      last_renewed_at: null,
      last_error: null,
      consecutive_failures: 0,
      advice: expect.stringMatching(/^All is well; /),
      rotate_by: null,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    expect(text).not.toContain('simulated-secret');
    expect(await renewals(provider)).toBe(0);
  });

  it('is served as it came, and renewed on the calendar', async () => {
    const company = next();
    const grant = await elsewhere(company);
    await put(company, { ...grant, expires_in: 1_800, scopes: ['a'] });
    const { body } = await token(company);
    expect(body).toMatchObject({
      access_token: grant.access_token,
      version: 1,
      stale: false,
      token_type: 'Bearer',
    });
    expect(Math.abs(Number(body['expires_in']) - 1_799)).toBeLessThan(3);
    const due = secondsTo(body['refresh_after']);
    expect(due).toBeGreaterThan(0.6 * 1_800 - 3);
    expect(due).toBeLessThan(0.8 * 1_800);
    await look();
    expect(await renewals(provider)).toBe(0);
    await world.advance(0.81 * 1_800);
    await look();
    expect(await renewals(provider)).toBe(1);
    const renewed = (await token(company)).body;
    expect(renewed).toMatchObject({ version: 2, stale: false });
    expect(renewed['access_token']).not.toBe(grant.access_token);
    expect((await world.simulator.introspect(renewed['access_token']))['active']).toBe(true);
  });

  it('without an access token is renewed for the first who asks', async () => {
    const company = next();
    const { refresh_token } = await elsewhere(company);
    const { status, body } = await put(company, { refresh_token });
    expect([status, body]).toMatchObject([
      201,
      { token_version: 0, token_fingerprint: null, expires_at: null, missing_scopes: [], status: 'active' },
    ]);
    const served = await token(company);
    expect([served.status, served.body['version']]).toEqual([200, 1]);
    expect((await world.simulator.introspect(served.body['access_token']))['active']).toBe(true);
    expect(await renewals(provider)).toBe(1);
  });

  it('without an access token is renewed by the schedule at once, if nobody asks', async () => {
    const company = next();
    const { refresh_token } = await elsewhere(company);
    const { body } = await put(company, {
      refresh_token,
      access_token: null,
      expires_in: null,
      scopes: null,
      paused: null,
    });
    expect(secondsTo(body['renew_at'])).toBeLessThan(1);
    await look();
    expect(await found(company)).toMatchObject({ token_version: 1, status: 'active', last_error: null });
    expect(await renewals(provider)).toBe(1);
  });

  it('whose token nobody knows the age of is served, and renewed soon', async () => {
    const company = next();
    const grant = await elsewhere(company);
    await put(company, grant);
    expect((await token(company)).body).toMatchObject({
      access_token: grant.access_token,
      version: 1,
      stale: false,
    });
    expect(await renewals(provider)).toBe(0);
    await look();
    expect(await renewals(provider)).toBe(1);
    expect((await token(company)).body).toMatchObject({ version: 2, stale: false });
  });

  it('moves company by company, with a way back', async () => {
    const [one, other] = [next(), next()];
    const grants = [await elsewhere(one), await elsewhere(other)] as const;
    for (const [index, company] of [one, other].entries()) {
      const { body } = await put(company, { ...grants[index], expires_in: 3_000, paused: true });
      expect(body).toMatchObject({ status: 'paused', status_reason: 'paused_by_operator', renew_at: null });
      expect((await token(company)).body['access_token']).toBe(grants[index]?.access_token);
    }
    await world.advance(2_900);
    await look();
    expect(await renewals(provider)).toBe(0);

    await call('POST', `/connections/${String((await found(one))['id'])}/resume`);
    await look();
    expect([(await found(one))['token_version'], (await found(other))['token_version']]).toEqual([2, 1]);
    expect(await renewals(provider)).toBe(1);

    await call('POST', `/connections/${String((await found(one))['id'])}/pause`);
    await world.advance(3_601);
    await look();
    for (const company of [one, other]) expect((await token(company)).body['code']).toBe('connection_paused');
    expect(await renewals(provider)).toBe(1);
  });

  it('without an access token and paused has nothing to serve until it is resumed', async () => {
    const company = next();
    const { refresh_token } = await elsewhere(company);
    const { body } = await put(company, { refresh_token, paused: true });
    await look();
    const { status, body: problem } = await token(company, '?min_ttl=0');
    expect([status, problem['code']]).toEqual([409, 'connection_paused']);
    expect(await renewals(provider)).toBe(0);
    await call('POST', `/connections/${String(body['id'])}/resume`);
    expect((await token(company)).body['version']).toBe(1);
  });

  it('keeps the scopes that are known where it tells none', async () => {
    const company = next();
    const grant = await elsewhere(company);
    expect((await put(company, { ...grant, expires_in: 3_000 })).body['scopes']).toEqual([]);
    expect((await put(company, { ...grant, expires_in: 3_000, scopes: ['a'] })).body['scopes']).toEqual([
      'a',
    ]);
    expect((await put(company, { ...grant, expires_in: 3_000 })).body['scopes']).toEqual(['a']);
    expect((await put(company, { ...grant, expires_in: 3_000, scopes: [] })).body['scopes']).toEqual([]);
  });

  it('takes the place of what was there, in the same connection, and versions count on', async () => {
    const company = next();
    const first = await put(company, { ...(await elsewhere(company)), expires_in: 3_000 });
    const again = await put(company, {
      access_token: 'test-secret-2',
      refresh_token: 'test-secret-r2',
      expires_in: 60,
    });
    expect([again.status, again.body]).toMatchObject([200, { id: first.body['id'], token_version: 2 }]);
    const same = await put(company, {
      access_token: 'test-secret-2',
      refresh_token: 'test-secret-r3',
      expires_in: 900,
    });
    expect(same.body).toMatchObject({ token_version: 2, token_fingerprint: again.body['token_fingerprint'] });
    expect(secondsTo(same.body['expires_at'])).toBeGreaterThan(800);
    await call('DELETE', `/connections/${String(first.body['id'])}`);
    const revived = await put(company, { ...(await elsewhere(company)), expires_in: 3_000 });
    expect(revived.body).toMatchObject({
      id: first.body['id'],
      token_version: 3,
      status: 'active',
      status_reason: null,
    });
  });

  it('that is dead is found dead, and its token is served for as long as it lives', async () => {
    const company = next();
    const { access_token } = await elsewhere(company);
    await put(company, { access_token, refresh_token: 'test-secret-spent' });
    await look();
    expect(await found(company)).toMatchObject({
      status: 'reauthorization_required',
      status_reason: 'invalid_grant',
    });
    expect((await token(company)).body).toMatchObject({
      access_token,
      stale: true,
      warning: expect.any(String),
    });
    const alive = await put(company, await elsewhere(company));
    expect(alive.body).toMatchObject({ status: 'active', status_reason: null, last_error: null });
  });

  it('over a living connection cannot be overwritten or killed by a renewal that is still out', async () => {
    const refusal = { status: 400, body: { error: 'invalid_grant' } };
    for (const answer of [{}, { perform_first: true }, refusal, { status: 503 }]) {
      const company = next();
      const made = await put(company, { ...(await elsewhere(company)), expires_in: 3_000 });
      const id = String(made.body['id']);
      const fences = async (): Promise<Json> =>
        (
          await world.sql<Json>(
            'select lease_epoch::int as lease, grant_version as "grant" from connections where id = $1',
            [id],
          )
        )[0] ?? {};
      await world.simulator.fault({
        ...{ provider: simulated(provider), operation: 'renew', times: 1, hold_until_released: true },
        ...answer,
      });
      const renewing = call('POST', `/connections/${id}/renew`);
      await eventually(async () => (await world.simulator.ledger('?limit=0')).counters['held'] === 1);
      const before = await fences();
      const access_token = `test-secret-imported-${company}`;
      const imported = await put(company, {
        access_token,
        refresh_token: `test-secret-r-${company}`,
        expires_in: 3_000,
      });
      expect(await fences()).toEqual({
        lease: Number(before['lease']) + 1,
        grant: Number(before['grant']) + 1,
      });
      await world.simulator.control('POST', 'release');
      await renewing;
      expect([answer, await found(company)]).toEqual([answer, imported.body]);
      expect((await token(company)).body).toMatchObject({ access_token, version: 2, stale: false });
    }
  });
});
