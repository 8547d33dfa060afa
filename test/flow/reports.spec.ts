import { beforeAll, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { within } from '../../src/shared/within.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 3_000;

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});

/** A company that has installed the extension: its token has version 1. */
async function installed(): Promise<{ path: string; company: string; id: string }> {
  const company = String(++companies);
  await world.install(broker, company);
  const { body } = await world.api(broker, 'GET', `/v1/connections?company_id=${company}`);
  return { path: `fynd/companies/${company}`, company, id: String((body['items'] as Json[])[0]?.['id']) };
}

const get = (path: string): Promise<Answer> => world.api(broker, 'GET', `/v1/tokens/${path}`);
const send = (path: string, body: unknown): Promise<Answer> =>
  world.api(broker, 'POST', `/v1/tokens/${path}/report`, body);
const report = (path: string, version: number): Promise<Answer> => send(path, { version, status: 401 });

async function renewals(company: string): Promise<unknown> {
  return (await world.simulator.ledger(`?operation=renew&company_id=${company}&limit=0`)).counters['calls'];
}

describe('a report that the provider refused a token', () => {
  it('renews the current version and is answered with the new token, as a read would be', async () => {
    const { path } = await installed();
    const before = (await get(path)).body;
    const { status, headers, body } = await report(path, 1);
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(body['access_token']).not.toBe(before['access_token']);
    expect({ ...body, expires_in: 0 }).toEqual({ ...(await get(path)).body, expires_in: 0 });
    expect(body).toMatchObject({ version: 2, stale: false });
  });

  it('works for a location, and touches nothing of its company', async () => {
    const company = String(++companies);
    await world.keepKonnect(broker, company);
    await world.keepKonnect(broker, `${company}/locations/L1`);
    const { body } = await report(`konnect/companies/${company}/locations/L1`, 1);
    expect(body).toMatchObject({ version: 2, level: 'location', location_id: 'L1' });
    expect((await get(`konnect/companies/${company}`)).body['version']).toBe(1);
  });

  it('renews once, however many report it at the same time, and all get the same newer token', async () => {
    const { path, company } = await installed();
    await world.simulator.fault({ provider: 'fynd', operation: 'renew', company_id: company, delay_ms: 100 });
    const answers = await Promise.all(Array.from({ length: 500 }, () => report(path, 1)));
    expect(answers.map(({ status, body }) => [status, body['version'], body['stale']])).toEqual(
      answers.map(() => [200, 2, false]),
    );
    expect(new Set(answers.map(({ body }) => body['access_token'])).size).toBe(1);
    expect(await renewals(company)).toBe(1);
    const late = await Promise.all(Array.from({ length: 500 }, () => report(path, 1)));
    expect(new Set(late.map(({ status, body }) => `${status} ${String(body['version'])}`))).toEqual(
      new Set(['200 2']),
    );
    expect(await renewals(company)).toBe(1);
  });

  it('waits with the others where the first of them waits for room: nobody gets back what was refused', async () => {
    const [before, { path, company }] = [await installed(), await installed()];
    // One call at a time is how each provider begins.
    await world.sql('truncate provider_states');
    const held = { provider: 'fynd', operation: 'renew', company_id: before.company };
    await world.simulator.fault({ ...held, hold_until_released: true });
    const first = report(before.path, 1);
    await eventually(async () => (await world.simulator.ledger('?limit=0')).counters['held'] === 1);
    const reports = Array.from({ length: 5 }, () => report(path, 1));
    expect(await within(Promise.race(reports), 1_500)).toBeUndefined();
    await world.simulator.control('POST', 'release');
    const answers = await Promise.all([first, ...reports]);
    expect(answers.map(({ status, body }) => [status, body['version']])).toEqual(answers.map(() => [200, 2]));
    expect(await renewals(company)).toBe(1);
  });

  it('asks nobody for a version that is not the current one, and answers with the current token', async () => {
    const { path, company, id } = await installed();
    await world.api(broker, 'POST', `/v1/connections/${id}/renew`);
    const answers = await Promise.all([1, 1, 1, 99].map((version) => report(path, version)));
    for (const { status, body } of answers) {
      expect([status, body['version'], body['stale']]).toEqual([200, 2, false]);
      expect(body).not.toHaveProperty('warning');
    }
    expect(await renewals(company)).toBe(1);
  });

  it('finds no token of a company that is not connected, or was revoked', async () => {
    const none = await report('fynd/companies/nobody', 1);
    expect([none.status, none.body['code']]).toEqual([404, 'connection_not_found']);
    const { path, id } = await installed();
    await world.api(broker, 'DELETE', `/v1/connections/${id}`);
    const revoked = await report(path, 1);
    expect([revoked.status, revoked.body['code']]).toEqual([410, 'connection_revoked']);
  });
});

describe('renewals that reports cause', () => {
  it('start at least 10 s apart; a report in between is answered with the current token and a warning', async () => {
    const { path, company } = await installed();
    await report(path, 1);
    await world.advance(8);
    const tooSoon = await report(path, 2);
    expect(tooSoon.status).toBe(200);
    expect(tooSoon.body).toMatchObject({ version: 2, warning: expect.any(String) });
    expect(await renewals(company)).toBe(1);
    await world.advance(2);
    const later = (await report(path, 2)).body;
    expect(later['version']).toBe(3);
    expect(later).not.toHaveProperty('warning');
    expect(await renewals(company)).toBe(2);
  });

  it('are spaced twice as far each time while new versions are reported again, up to 10 minutes', async () => {
    const { path, company } = await installed();
    let version = 1;
    await report(path, version++);
    for (const seconds of [10, 20, 40, 80, 160, 320, 600, 600]) {
      await world.advance(seconds - 3);
      expect([seconds, (await report(path, version)).body['version']]).toEqual([seconds, version]);
      await world.advance(3);
      expect([seconds, (await report(path, version)).body['version']]).toEqual([seconds, ++version]);
    }
    expect(await renewals(company)).toBe(9);
  });

  it('begin anew at 10 s after a time without reports', async () => {
    const { path } = await installed();
    for (const version of [1, 2, 3]) {
      await report(path, version);
      await world.advance(100);
    }
    await world.advance(700);
    expect((await report(path, 4)).body['version']).toBe(5);
    await world.advance(10);
    expect((await report(path, 5)).body['version']).toBe(6);
  });

  it('are spaced per connection: another company is renewed at once', async () => {
    const [one, other] = [await installed(), await installed()];
    await report(one.path, 1);
    expect((await report(other.path, 1)).body['version']).toBe(2);
  });
});

describe('while the provider is away', () => {
  it('the reporter gets a 503, and the others are still served, with a warning', async () => {
    const { path, company } = await installed();
    // However slow the machine is, the reports come before it is time to try again.
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      company_id: company,
      status: 503,
      retry_after: 60,
    });
    for (let reporter = 1; reporter <= 3; reporter++) {
      const { status, headers, body } = await report(path, 1);
      expect([status, body['code']]).toEqual([503, 'provider_unavailable']);
      expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    }
    expect(await renewals(company)).toBe(1);
    const { status, body } = await get(path);
    expect(status).toBe(200);
    expect(body).toMatchObject({ version: 1, stale: true, warning: expect.any(String) });
  });

  it('is over, the next report renews', async () => {
    const { path, company, id } = await installed();
    // A renewal that worked has shown that the same refresh token may be sent again.
    await world.api(broker, 'POST', `/v1/connections/${id}/renew`);
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      company_id: company,
      status: 503,
      times: 1,
    });
    expect((await report(path, 2)).status).toBe(503);
    await world.advance(30);
    expect((await report(path, 2)).body).toMatchObject({ version: 3, stale: false });
  });
});

describe('a dead grant', () => {
  it('whose token is reported is served no more, and asks for a new consent at once', async () => {
    const { path, company, id } = await installed();
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      company_id: company,
      status: 400,
      body: { error: 'invalid_grant' },
    });
    await world.api(broker, 'POST', `/v1/connections/${id}/renew`);
    expect((await get(path)).body).toMatchObject({ version: 1, stale: true });
    const reported = await report(path, 1);
    expect([reported.status, reported.body['code'], reported.body['connection_id']]).toEqual([
      409,
      'reauthorization_required',
      id,
    ]);
    expect(reported.body['authorize_url']).toContain(`company_id=${company}`);
    expect((await get(`${path}?min_ttl=0`)).body['code']).toBe('reauthorization_required');
    expect(await renewals(company)).toBe(1);
  });

  it('that a report finds out about is told to the reporter', async () => {
    const { path, company } = await installed();
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      company_id: company,
      status: 400,
      body: { error: 'invalid_grant' },
    });
    expect((await report(path, 1)).body['code']).toBe('reauthorization_required');
    expect((await get(path)).body['code']).toBe('reauthorization_required');
  });
});

describe('a report that cannot help', () => {
  it('with 403 is refused: a permission is not an age', async () => {
    const { path, company } = await installed();
    const { status, body } = await send(path, { version: 1, status: 403 });
    expect([status, body['code']]).toEqual([422, 'not_renewable']);
    expect((await get(path)).body['version']).toBe(1);
    expect(await renewals(company)).toBe(0);
  });

  it('is malformed: a 400 that renews nothing', async () => {
    const { path, company } = await installed();
    const good = { version: 1, status: 401 };
    const versions = ['1', 0, -1, 1.5, 2 ** 31, 1e300, null, true, [1], {}, undefined];
    const statuses = [200, 400, 500, '401', null, [401], undefined];
    const bodies = [
      ...versions.map((version) => ({ ...good, version })),
      ...statuses.map((status) => ({ ...good, status })),
      ...[
        { ...good, token: 'test-secret-not-asked-for' },
        [],
        [good],
        {},
        'null',
        '"text"',
        '7',
        '',
        '{"version":1',
      ],
    ];
    for (const body of bodies) {
      const answer = await send(path, body);
      expect([body, answer.status, answer.body['code']]).toEqual([body, 400, 'invalid_request']);
      expect(answer.text).not.toContain('test-secret');
    }
    expect((await world.api(broker, 'POST', `/v1/tokens/${path}/report`)).status).toBe(400);
    expect(await renewals(company)).toBe(0);
  });
});
