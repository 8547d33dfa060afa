import { describe, expect, it } from '@jest/globals';
import { type Json, until, useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();

describe('a fault', () => {
  it('strikes the calls that it names, as often as it says', async () => {
    await simulator.install('42');
    await simulator.install('43');
    const { refresh } = await simulator.install('42');
    await simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      company_id: 42,
      times: 2,
      status: 503,
      retry_after: 7,
    });
    expect((await simulator.konnect({ username: 'a', password: 'p' })).status).toBe(200);
    expect((await simulator.renew('43', 'made-up')).status).toBe(400);
    const [first, second, third] = [
      await simulator.renew('42', refresh),
      await simulator.renew('42', refresh),
      await simulator.renew('42', refresh),
    ];
    expect([first.status, second.status, third.status]).toEqual([503, 503, 200]);
    expect(first.headers.get('retry-after')).toBe('7');
    expect((await simulator.control('GET', 'faults')).body).toEqual({ items: [] });
  });

  it('loses the reply of a renewal that was done', async () => {
    const { refresh } = await simulator.install('42');
    await simulator.settings('fynd', { rotation: 'strict' });
    await simulator.fault({ provider: 'fynd', operation: 'renew', times: 1, lost_reply: true });
    await expect(simulator.renew('42', refresh)).rejects.toThrow();
    expect((await simulator.ledger('?limit=1')).entries[0]).toMatchObject({
      outcome: 'ok',
      status: null,
      fault: 'fault-1',
    });
    expect((await simulator.renew('42', refresh)).body['error']).toBe('invalid_grant');
  });

  it('resets the connection before anything was done', async () => {
    const { refresh } = await simulator.install('42');
    await simulator.settings('fynd', { rotation: 'strict' });
    await simulator.fault({ provider: 'fynd', times: 1, reset: true });
    await expect(simulator.renew('42', refresh)).rejects.toThrow();
    expect((await simulator.ledger('?limit=1')).entries[0]).toMatchObject({ outcome: 'not_performed' });
    expect((await simulator.renew('42', refresh)).status).toBe(200);
  });

  it('answers with whatever it is given', async () => {
    const answers: [Json, string | RegExp][] = [
      [{ status: 400, body: { error: 'invalid_grant' } }, '400 {"error":"invalid_grant"}'],
      [{ status: 502, content: 'html' }, /^502 <!doctype html>/],
      [{ status: 500, content: 'empty' }, '500 '],
      [{ malformed: 'text' }, '200 access_token: see below'],
      [{ malformed: 'html' }, /^200 <!doctype html>/],
      [{ malformed: 'no_token' }, /^200 \{(?!.*access_token)/],
      [{ redirect: 'http://127.0.0.1:9/elsewhere' }, '302 '],
    ];
    for (const [effect, expected] of answers) {
      await simulator.fault({ provider: 'konnect', times: 1, ...effect });
      const answer = await simulator.get('/aggregator/v1/token?username=a&password=p');
      expect(`${answer.status} ${await answer.text()}`).toMatch(expected);
    }
  });

  it('cuts an answer off, or lets it drip', async () => {
    await simulator.fault({ provider: 'konnect', times: 1, malformed: 'truncated' });
    await expect(simulator.konnect({ username: 'a', password: 'p' })).rejects.toThrow();
    await simulator.fault({ provider: 'konnect', times: 1, drip_ms: 1 });
    const before = Date.now();
    expect((await simulator.konnect({ username: 'a', password: 'p' })).body['status']).toBe('SUCCESS');
    expect(Date.now() - before).toBeGreaterThan(50);
  });

  it('moves the Date header and absolute expiries, not lifetimes', async () => {
    await simulator.fault({ provider: 'fynd', operation: 'exchange', times: 1, clock_offset_s: -7200 });
    const { headers, body } = await simulator.exchange('42', await simulator.consent('42'));
    const error = (seconds: number): number => Math.abs(seconds - Date.now() / 1000);
    expect(error(Date.parse(headers.get('date') ?? '') / 1000 + 7200)).toBeLessThan(5);
    expect(error(Number(body['expires_at']) + 3600)).toBeLessThan(5);
    expect(body['expires_in']).toBe(3600);
  });

  it('holds a call until it is released', async () => {
    const { refresh } = await simulator.install('42');
    await simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      times: 2,
      hold_until_released: true,
      perform_first: true,
    });
    const calls = [simulator.renew('42', refresh), simulator.renew('42', refresh)];
    await until(async () => (await simulator.ledger()).counters['held'] === 2);
    expect((await simulator.ledger('?operation=renew')).counters).toMatchObject({
      in_flight: 2,
      peak_concurrency: 2,
    });
    expect((await simulator.control('POST', 'release')).body).toEqual({ released: 2 });
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('hangs until the caller gives up, with nothing done', async () => {
    await simulator.fault({ provider: 'konnect', times: 1, hang: true });
    const url = `${simulator.url}/aggregator/v1/token?username=a&password=p`;
    await expect(fetch(url, { signal: AbortSignal.timeout(100) })).rejects.toThrow();
    await until(async () => (await simulator.ledger()).counters['in_flight'] === 0);
    expect((await simulator.ledger()).entries[0]).toMatchObject({ outcome: 'not_performed', status: null });
  });

  it('strikes consent only when it says so', async () => {
    await simulator.fault({ provider: 'fynd', status: 500 });
    expect((await simulator.authorize('42')).status).toBe(302);
    await simulator.fault({ provider: 'fynd', operation: 'authorize', status: 500 });
    expect((await simulator.authorize('42')).status).toBe(500);
    expect((await simulator.control('DELETE', 'faults')).body).toEqual({ cleared: 2 });
  });
});
