import { beforeAll, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { ask, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 22_000;

beforeAll(async () => {
  broker = await world.local();
  // Nothing happens by itself but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});

const next = (): string => String(++companies);
const inSeconds = (seconds: number): string =>
  new Date(world.clock.now().getTime() + seconds * 1_000).toISOString();
const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
  world.api(broker, method, `/v1${path}`, body);
const get = (company: string): Promise<Answer> => call('GET', `/tokens/portal/companies/${company}`);
const report = (company: string, version: number, status = 401): Promise<Answer> =>
  call('POST', `/tokens/portal/companies/${company}/report`, { version, status });
const found = async (id: unknown): Promise<Json> => (await call('GET', `/connections/${String(id)}`)).body;

async function kept(company: string, changes: Json = {}): Promise<Json> {
  const body = { token: `test-secret-portal-${company}`, token_type: 'service', ...changes };
  return (await call('PUT', `/connections/portal/companies/${company}`, body)).body;
}

async function look(): Promise<void> {
  const { broker: scheduled, ...local } = await world.local();
  await world.settle({ broker: scheduled, ...local });
  await scheduled.stop();
}

const alarms = (id: unknown): number =>
  world.logs.filter((line) => /"level":"error"/.test(line) && line.includes(String(id))).length;

async function suspected(): Promise<number> {
  const { text } = await ask('GET', `${broker.api}/metrics`);
  return Number(/^token_broker_tokens_suspected_total\{provider="portal"\} (\d+)/m.exec(text)?.[1] ?? 0);
}

/** Nobody can be asked for a portal's token: not one call of any provider. */
const outbound = async (): Promise<unknown> => (await world.simulator.ledger('?limit=0')).counters['calls'];

describe('a 401 that is reported on a token that nothing renews', () => {
  it('raises the alarm and marks it as suspect, and the token is served on to everybody with a warning', async () => {
    const company = next();
    const { id } = await kept(company);
    const before = await suspected();
    const { status, body } = await report(company, 1);
    expect([status, body['access_token'], body['version'], body['stale']]).toEqual([
      200,
      `test-secret-portal-${company}`,
      1,
      false,
    ]);
    expect(body['warning']).toMatch(/401/);
    expect(await found(id)).toMatchObject({ status: 'suspect', status_reason: 'reported' });
    expect([alarms(id), (await suspected()) - before]).toEqual([1, 1]);
    const { body: other } = await get(company);
    expect(other).toEqual({
      ...body,
      expires_in: other['expires_in'],
      refresh_after: other['refresh_after'],
    });
    expect(await outbound()).toBe(0);
  });

  it('is one alarm, however many report it, and whenever', async () => {
    const company = next();
    const { id } = await kept(company);
    const before = await suspected();
    const answers = await Promise.all(Array.from({ length: 20 }, () => report(company, 1)));
    await world.advance(3_600);
    answers.push(await report(company, 1));
    for (const { status, body } of answers)
      expect([status, body['version'], body['warning']]).toEqual([200, 1, expect.stringMatching(/401/)]);
    expect([alarms(id), (await suspected()) - before]).toEqual([1, 1]);
  });

  it('is over when another token is kept, and the next one is an alarm again', async () => {
    const company = next();
    const { id } = await kept(company);
    await report(company, 1);
    expect(await kept(company, { token: 'test-secret-better' })).toMatchObject({
      id,
      status: 'active',
      status_reason: null,
      token_version: 2,
    });
    const { body } = await get(company);
    expect(body).not.toHaveProperty('warning');
    // Who was still using the old one is told of the new one, and raises nothing.
    const late = await report(company, 1);
    expect(late.body).toMatchObject({ version: 2, access_token: 'test-secret-better' });
    expect(late.body).not.toHaveProperty('warning');
    expect([alarms(id), (await found(id))['status']]).toEqual([1, 'active']);
    await report(company, 2);
    expect([alarms(id), (await found(id))['status']]).toEqual([2, 'suspect']);
  });

  it('is over when a person keeps the same token again, knowing better', async () => {
    const company = next();
    const { id } = await kept(company);
    await report(company, 1);
    expect(await kept(company)).toMatchObject({ status: 'active', token_version: 1 });
    expect((await get(company)).body).not.toHaveProperty('warning');
    await report(company, 1);
    expect(alarms(id)).toBe(2);
  });

  it('is an alarm and a warning while it is paused, too, and is not forgotten with the pause', async () => {
    const company = next();
    const { id } = await kept(company);
    await call('POST', `/connections/${String(id)}/pause`);
    expect((await report(company, 1)).body['warning']).toMatch(/401/);
    expect(alarms(id)).toBe(1);
    expect((await get(company)).body['warning']).toMatch(/401/);
    expect((await found(id))['status']).toBe('paused');
    await call('POST', `/connections/${String(id)}/resume`);
    expect(await found(id)).toMatchObject({ status: 'suspect', status_reason: 'reported', renew_at: null });
    await report(company, 1);
    expect(alarms(id)).toBe(1);
  });

  it('was about a token whose end was known is no alarm', async () => {
    const company = next();
    const { id } = await kept(company, { expires_at: inSeconds(60) });
    await world.advance(61);
    const { status, body } = await report(company, 1);
    expect([status, body['code']]).toEqual([409, 'reauthorization_required']);
    expect(alarms(id)).toBe(0);
  });
});

describe('renewing by hand', () => {
  it('is refused, since only a person makes another', async () => {
    const company = next();
    const { id } = await kept(company);
    for (const before of ['pause', 'resume', 'pause']) {
      const { status, body } = await call('POST', `/connections/${String(id)}/renew`);
      expect([status, body['code'], body['connection_id']]).toEqual([422, 'not_renewable', id]);
      await call('POST', `/connections/${String(id)}/${before}`);
    }
    await call('DELETE', `/connections/${String(id)}`);
    expect((await call('POST', `/connections/${String(id)}/renew`)).body['code']).toBe('connection_revoked');
    expect(await outbound()).toBe(0);
  });
});

describe('the end of a token', () => {
  it('is the end of serving it, whether or not the schedule has looked', async () => {
    const company = next();
    const { id } = await kept(company, { expires_at: inSeconds(60) });
    await world.advance(59);
    expect((await get(company)).status).toBe(409);
    expect((await call('GET', `/tokens/portal/companies/${company}?min_ttl=0`)).status).toBe(200);
    await world.advance(2);
    const { status, body } = await call('GET', `/tokens/portal/companies/${company}?min_ttl=0`);
    expect([status, body['code'], body['connection_id']]).toEqual([409, 'reauthorization_required', id]);
    expect(body).not.toHaveProperty('authorize_url');
    expect((await found(id))['status']).toBe('active');
  });

  it('is found by the schedule, which asks nobody', async () => {
    const [company, suspect, paused, unending] = [next(), next(), next(), next()];
    const expires_at = inSeconds(60);
    const { id } = await kept(company, { expires_at });
    const { id: ofSuspect } = await kept(suspect, { expires_at });
    await report(suspect, 1);
    const { id: ofPaused } = await kept(paused, { expires_at });
    await call('POST', `/connections/${String(ofPaused)}/pause`);
    const { id: ofUnending } = await kept(unending);
    await look();
    expect((await found(id))['status']).toBe('active');
    await world.advance(61);
    await look();
    const lapsed = { status: 'reauthorization_required', status_reason: 'expired', last_error: 'expired' };
    expect(await found(id)).toMatchObject({ ...lapsed, expires_at, renew_at: null });
    expect(await found(ofSuspect)).toMatchObject(lapsed);
    expect((await found(ofPaused))['status']).toBe('paused');
    expect((await found(ofUnending))['status']).toBe('active');
    expect((await get(company)).body['code']).toBe('reauthorization_required');
    expect(await outbound()).toBe(0);
  });

  it('is over when a person keeps another', async () => {
    const company = next();
    await kept(company, { expires_at: inSeconds(60) });
    await world.advance(61);
    await look();
    expect(await kept(company, { token: 'test-secret-next', expires_at: inSeconds(600) })).toMatchObject({
      status: 'active',
      status_reason: null,
      last_error: null,
      token_version: 2,
    });
    expect((await get(company)).body['access_token']).toBe('test-secret-next');
  });
});

describe('DELETE', () => {
  const sealed = async (id: unknown): Promise<unknown> =>
    (await world.sql('select sealed_token from connections where id = $1', [id]))[0];

  it('tells that the portal accepts the token until its end, and erases it here', async () => {
    const expires_at = inSeconds(600);
    const { id } = await kept(next(), { expires_at });
    const answer = { upstream: 'unsupported', token_valid_until: expires_at };
    expect((await call('DELETE', `/connections/${String(id)}`)).body).toEqual(answer);
    expect((await call('DELETE', `/connections/${String(id)}`)).body).toEqual(answer);
    expect(await sealed(id)).toEqual({ sealed_token: null });
  });

  it('of one without an end tells that it stays good for ever: a person has to revoke it in the portal', async () => {
    const { id } = await kept(next());
    const answer = { upstream: 'unsupported', token_valid_until: null, still_valid: true };
    expect((await call('DELETE', `/connections/${String(id)}`)).body).toEqual(answer);
    expect((await call('DELETE', `/connections/${String(id)}`)).body).toEqual(answer);
  });

  it('of one that has ended tells that nothing is accepted any more', async () => {
    const { id } = await kept(next(), { expires_at: inSeconds(60) });
    await world.advance(61);
    expect((await call('DELETE', `/connections/${String(id)}`)).body).toEqual({
      upstream: 'unsupported',
      token_valid_until: null,
    });
  });
});
