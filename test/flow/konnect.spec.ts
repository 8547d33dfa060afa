import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 4_000;

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});

beforeEach(async () => {
  await world.sql('delete from credential_proofs');
});

const nextCompany = (): string => String(++companies);

/** Calls the broker; no answer of this file may hold a password. */
async function call(
  method: string,
  path: string,
  body?: unknown,
  at: { api: string } = broker,
): Promise<Answer> {
  const answer = await world.api(at, method, path, body);
  expect(answer.text).not.toMatch(/test-secret|password/);
  return answer;
}

const put = (path: string, body: unknown): Promise<Answer> =>
  call('PUT', `/v1/connections/konnect/companies/${path}`, body);
const token = (path: string): Promise<Answer> => call('GET', `/v1/tokens/konnect/companies/${path}`);
const credential = (username: string): Json => ({ username, password: `test-secret-of-${username}` });
const wrong = (username: string): Json => ({ username, password: `wrong-test-secret-of-${username}` });

async function connectionOf(company: string): Promise<Json | undefined> {
  const { body } = await call('GET', `/v1/connections?provider=konnect&company_id=${company}`);
  return (body['items'] as Json[])[0];
}

async function exchanges(username: string): Promise<Json[]> {
  return (await world.simulator.ledger(`?provider=konnect&username=${username}`)).entries;
}
const fail = (username: string, fault: Json): Promise<unknown> =>
  world.simulator.fault({ provider: 'konnect', username, ...fault });

describe('keeping a Konnect credential', () => {
  it('proves it by one real exchange, whose token is the first version', async () => {
    const company = nextCompany();
    const { status, body } = await put(company, credential('made'));
    expect([status, body['token_version'], body['status']]).toEqual([201, 1, 'active']);
    expect((await exchanges('made')).map(({ outcome }) => outcome)).toEqual(['ok']);
    const served = (await token(company)).body;
    expect(served['version']).toBe(1);
    const known = await world.simulator.control('POST', 'introspect', { token: served['access_token'] });
    expect(known.body).toMatchObject({ active: true, username: 'made' });
    expect(await exchanges('made')).toHaveLength(1);
  });

  it('replaces the one before, whose successor brings the next version of the same connection', async () => {
    const company = nextCompany();
    const before = await put(company, credential('first'));
    const { status, body } = await put(company, credential('second'));
    expect([status, body['token_version'], body['id']]).toEqual([200, 2, before.body['id']]);
    const served = (await token(company)).body;
    const known = await world.simulator.control('POST', 'introspect', { token: served['access_token'] });
    expect([served['version'], known.body['username']]).toEqual([2, 'second']);
  });

  it('is for 90 days, counted anew for another credential only', async () => {
    const company = nextCompany();
    const { rotate_by: first } = (await put(company, credential('aged'))).body;
    const days = (Date.parse(String(first)) - world.clock.now().getTime()) / 86_400_000;
    expect(days).toBeCloseTo(90, 2);
    await world.advance(60);
    expect((await put(company, credential('aged'))).body['rotate_by']).toBe(first);
    expect((await put(company, credential('new'))).body['rotate_by']).not.toBe(first);
  });

  it('that is refused changes nothing: what was there stays, its token included', async () => {
    const company = nextCompany();
    await put(company, credential('good'));
    const before = [(await token(company)).body, await connectionOf(company)];
    const { status, body } = await put(company, wrong('bad'));
    expect([status, body['code']]).toEqual([422, 'credential_rejected']);
    const after = [(await token(company)).body, await connectionOf(company)];
    expect(after).toEqual([{ ...before[0], expires_in: expect.any(Number) }, before[1]]);
    await call('POST', `/v1/connections/${String(before[1]?.['id'])}/renew`);
    expect(await exchanges('good')).toHaveLength(2);
    expect(await exchanges('bad')).toHaveLength(1);
  });

  it('that is refused makes no connection', async () => {
    const company = nextCompany();
    expect((await put(company, wrong('bad'))).status).toBe(422);
    expect((await token(company)).body['code']).toBe('connection_not_found');
  });

  it('that cannot be proven is no refusal, and changes nothing either', async () => {
    const faults: [Json, number, string][] = [
      [{ status: 503, retry_after: 7 }, 503, 'provider_unavailable'],
      [{ malformed: 'text' }, 502, 'provider_protocol_error'],
      [{ malformed: 'no_token' }, 502, 'provider_protocol_error'],
      [{ status: 404 }, 502, 'provider_misconfigured'],
      [{ redirect: `${world.simulator.url}/aggregator/v1/token` }, 502, 'provider_misconfigured'],
    ];
    for (const [fault, status, code] of faults) {
      const company = nextCompany();
      await fail('unproven', { ...fault, times: 1 });
      const answer = await put(company, credential('unproven'));
      expect([fault, answer.status, answer.body['code']]).toEqual([fault, status, code]);
      expect(answer.headers.get('retry-after')).toBe(fault['retry_after'] === 7 ? '7' : null);
      expect((await token(company)).status).toBe(404);
    }
    expect(await exchanges('unproven')).toHaveLength(5);
  });

  it('without verify asks nobody: the schedule fetches the first token', async () => {
    const company = nextCompany();
    const { status, body } = await put(company, { ...credential('later'), verify: false });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      token_version: 0,
      status: 'active',
      expires_at: null,
      token_fingerprint: null,
    });
    const scheduled = await world.local();
    await eventually(async () => (await connectionOf(company))?.['token_version'] === 1);
    await scheduled.broker.stop();
    expect((await token(company)).body['version']).toBe(1);
    expect(await exchanges('later')).toHaveLength(1);
  });

  it('without verify is found out at the first read, which is also what fetches the token', async () => {
    const [good, bad] = [nextCompany(), nextCompany()];
    await put(good, { ...credential('unseen'), verify: false });
    await put(bad, { ...wrong('unseen-bad'), verify: false });
    expect((await token(good)).body).toMatchObject({ version: 1, stale: false });
    expect((await token(bad)).status).toBe(503);
    expect(await connectionOf(bad)).toMatchObject({ status: 'suspect', last_error: 'credential_refused' });
  });

  it('wants a username and a password, as texts, and nothing that it does not know', async () => {
    const good = credential('shape');
    const bodies = [
      ...[{}, [], [good], 'null', '"x"', '7', '', { username: 'shape' }, { password: 'test-secret' }],
      ...[
        { ...good, username: '' },
        { ...good, username: 7 },
        { ...good, password: '' },
      ],
      ...[
        { ...good, password: ['test-secret'] },
        { ...good, password: 'test-secret'.repeat(400) },
      ],
      ...[
        { ...good, verify: 'false' },
        { ...good, verify: 0 },
        { ...good, token: 'test-secret' },
      ],
    ];
    for (const body of bodies) {
      const answer = await world.api(
        broker,
        'PUT',
        `/v1/connections/konnect/companies/${nextCompany()}`,
        body,
      );
      expect([body, answer.status, answer.body['code']]).toEqual([body, 400, 'invalid_request']);
      expect(answer.text).not.toContain('test-secret');
    }
    expect(await exchanges('shape')).toEqual([]);
  });

  it('takes company ids as the texts that they are', async () => {
    await put('0042', credential('padded'));
    expect((await token('0042')).body['company_id']).toBe('0042');
    expect((await token('42')).status).toBe(404);
    expect((await put('42', credential('plain'))).body['company_id']).toBe('42');
  });
});

describe('guessing through the broker', () => {
  it('ends after five refused proofs in an hour, for right and wrong alike, without asking anybody', async () => {
    const company = nextCompany();
    for (let guess = 1; guess <= 5; guess++) expect((await put(company, wrong('guessed'))).status).toBe(422);
    for (const next of [wrong('guessed'), credential('guessed')]) {
      const { status, headers, body } = await put(company, next);
      expect([status, body['code']]).toEqual([429, 'rate_limited']);
      expect(headers.get('retry-after')).toBe(String(body['retry_after']));
      expect(Number(body['retry_after'])).toBeGreaterThan(3_590);
      expect(Number(body['retry_after'])).toBeLessThanOrEqual(3_600);
    }
    expect(await exchanges('guessed')).toHaveLength(5);
    await world.advance(3_600);
    expect((await put(company, credential('guessed'))).status).toBe(201);
  });

  it('is told with the limit in its headers', async () => {
    for (let guess = 1; guess <= 5; guess++) await put(nextCompany(), wrong('limit'));
    const { status, headers } = await put(nextCompany(), wrong('limit'));
    expect(status).toBe(429);
    expect(headers.get('ratelimit-policy')).toMatch(/q=5/);
    expect(headers.get('ratelimit')).toMatch(/r=0/);
  });

  it('is not faster by guessing many at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => put(nextCompany(), wrong('at-once'))));
    expect(answers.every(({ status }) => status === 422 || status === 429)).toBe(true);
    expect((await exchanges('at-once')).length).toBeLessThanOrEqual(5);
  });
});
