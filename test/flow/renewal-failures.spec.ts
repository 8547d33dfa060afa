import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

/** A provider that gives up soon, and whose refresh tokens may be sent twice: failures back off and nothing else. */
const PROVIDERS = `
providers:
  fynd:
    kind: fynd-platform
    base_url: \${FYND_BASE_URL}
    api_key: \${FYND_API_KEY}
    api_secret: \${FYND_API_SECRET}
    scopes: \${FYND_SCOPES}
    rotation: none
    timeout: 300ms
`;

describe('while a provider fails', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  let broker: LocalBroker;

  beforeAll(async () => {
    writeFileSync(join(folder, 'providers.yaml'), PROVIDERS);
    broker = await world.local({ PROVIDERS_FILE: join(folder, 'providers.yaml') });
    world.stopTicking(broker);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
    await world.install(broker, '42');
  });

  async function row(): Promise<Json & { renewsIn: number; consecutive_failures: number }> {
    const [found] = await world.sql<Json & { renewsIn: number; consecutive_failures: number }>(
      `select *, extract(epoch from renew_at - broker_now())::float8 as "renewsIn" from connections`,
    );
    if (!found) throw new Error('there is no connection');
    return found;
  }

  const failing = (fault: Json): Promise<unknown> =>
    world.simulator.fault({ provider: 'fynd', operation: 'renew', ...fault });
  const fetchToken = (): ReturnType<typeof world.api> =>
    world.api(broker, 'GET', '/v1/tokens/fynd/companies/42');
  const calls = async (): Promise<unknown> => (await world.simulator.ledger()).counters['renewals'];

  it.each([
    ['answers without a token', { malformed: 'no_token' }, 'token_missing', 502, 'provider_protocol_error'],
    ['answers with text', { malformed: 'text' }, 'malformed_answer', 502, 'provider_protocol_error'],
    ['answers with a page', { malformed: 'html' }, 'malformed_answer', 502, 'provider_protocol_error'],
    [
      'answers with half of it',
      { malformed: 'truncated' },
      'malformed_answer',
      502,
      'provider_protocol_error',
    ],
    ['answers 200 and null', { status: 200, body: null }, 'token_missing', 502, 'provider_protocol_error'],
    [
      'answers 200 and nothing',
      { status: 200, content: 'empty' },
      'malformed_answer',
      502,
      'provider_protocol_error',
    ],
    [
      'refuses with a page',
      { status: 403, content: 'html' },
      'malformed_answer',
      502,
      'provider_protocol_error',
    ],
    ['sends elsewhere', { redirect: 'http://127.0.0.1:9/' }, 'redirected', 502, 'provider_misconfigured'],
    ['is gone', { status: 410, content: 'html' }, 'endpoint_gone', 502, 'provider_misconfigured'],
    ['hangs up', { reset: true }, 'connection_lost', 503, 'provider_unavailable'],
    ['does it and hangs up', { lost_reply: true }, 'connection_lost', 503, 'provider_unavailable'],
    ['hangs', { hang: true }, 'timed_out', 503, 'provider_unavailable'],
    ['drips', { drip_ms: 50 }, 'timed_out', 503, 'provider_unavailable'],
    ['wants us later', { status: 429 }, 'rate_limited', 503, 'provider_unavailable'],
    ['timed out itself', { status: 408 }, 'server_error', 503, 'provider_unavailable'],
    ['is broken', { status: 500 }, 'server_error', 503, 'provider_unavailable'],
    ['is down', { status: 503, content: 'html' }, 'server_error', 503, 'provider_unavailable'],
  ] as const)('%s', async (_what, fault, lastError, status, code) => {
    const before = await row();
    const { access_token } = (await fetchToken()).body;
    await failing(fault);

    await world.advance(3_000);
    await world.settle(broker);
    const failed = await row();
    expect(failed).toMatchObject({ status: 'active', last_error: lastError, refusals: 0, token_version: 1 });
    expect([failed['sealed_token'], failed['sealed_grant']]).toEqual([
      before['sealed_token'],
      before['sealed_grant'],
    ]);
    expect(failed.consecutive_failures).toBeGreaterThanOrEqual(1);
    expect(failed.renewsIn).toBeLessThan(2 ** failed.consecutive_failures);
    const served = await fetchToken();
    expect(served.status).toBe(200);
    expect(served.body).toMatchObject({ access_token, version: 1, stale: true, warning: expect.any(String) });

    await world.advance(601);
    const refused = await fetchToken();
    expect([refused.status, refused.body['code']]).toEqual([status, code]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);

    await world.simulator.control('DELETE', 'faults');
    await world.advance(301);
    await world.settle(broker);
    expect(await row()).toMatchObject({
      status: 'active',
      token_version: 2,
      last_error: null,
      consecutive_failures: 0,
    });
    expect((await fetchToken()).body).toMatchObject({ version: 2, stale: false });
  });

  it('a caller of a short token gets the problem of the very attempt that it waited for', async () => {
    await failing({ malformed: 'no_token' });
    const asked = await world.api(broker, 'GET', '/v1/tokens/fynd/companies/42?min_ttl=3600');
    expect([asked.status, asked.body['code']]).toEqual([502, 'provider_protocol_error']);
    expect(await calls()).toBe(1);
  });

  it('it is asked ever more rarely', async () => {
    await failing({ status: 500 });
    await world.advance(3_000);
    await world.settle(broker);
    // Each step passes the longest backoff that there is, so each has one attempt or, by luck of the jitter, a few more.
    for (let step = 0; step < 12; step += 1) {
      await world.advance(301);
      await world.settle(broker);
    }
    const { consecutive_failures: failures, renewsIn } = await row();
    expect(failures).toBeGreaterThanOrEqual(13);
    expect(failures).toBe(await calls());
    expect(renewsIn).toBeLessThanOrEqual(300);
    const before = Number(await calls());
    await Promise.all(Array.from({ length: 50 }, () => fetchToken()));
    expect(Number(await calls()) - before).toBeLessThanOrEqual(2);
  });

  describe('Retry-After', () => {
    it.each(['seconds', 'a date'])('as %s is kept to', async (form) => {
      const due = 2_890;
      const date = new Date(world.clock.now().getTime() + (due + 600) * 1_000).toUTCString();
      await failing({ status: 429, retry_after: form === 'seconds' ? 600 : date, times: 1 });
      await world.advance(due);
      await world.settle(broker);
      expect(await calls()).toBe(1);
      const { renewsIn } = await row();
      expect(Math.abs(renewsIn - 600)).toBeLessThan(10);

      await world.advance(renewsIn - 5);
      await world.settle(broker);
      expect([await calls(), (await row())['token_version']]).toEqual([1, 1]);
      await world.advance(7);
      await world.settle(broker);
      expect([await calls(), (await row())['token_version']]).toEqual([2, 2]);
    });

    it('of a day is capped at 15 min', async () => {
      await failing({ status: 503, retry_after: 86_400 });
      await world.advance(3_000);
      await world.settle(broker);
      const { renewsIn } = await row();
      expect(renewsIn).toBeGreaterThan(890);
      expect(renewsIn).toBeLessThanOrEqual(900);
    });

    it('is told to callers whose token is too short', async () => {
      await failing({ status: 429, retry_after: 120 });
      await world.advance(3_601);
      await world.settle(broker);
      const refused = await fetchToken();
      expect(refused.status).toBe(503);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(110);
      expect(refused.body['retry_after']).toBe(Number(refused.headers.get('retry-after')));
    });
  });
});
