import { describe, expect, it } from '@jest/globals';
import { useSimulator } from '../support/simulator-caller.js';
import { readEnvironment } from '../../simulator/environment.js';

const simulator = useSimulator();

describe('the control routes', () => {
  it('refuse what they do not know, and name it', async () => {
    const refusals = [
      await simulator.settings('fynd', { rotatoin: 'strict' }),
      await simulator.settings('fynd', { rotation: 'sometimes' }),
      await simulator.fault({ provider: 'fynd', statsu: 500 }),
      await simulator.fault({ provider: 'fynd' }),
      await simulator.fault({ provider: 'konnect', operation: 'renew', status: 500 }),
      await simulator.fault({ provider: 'fynd', retry_after: 3 }),
      await simulator.fault({ provider: 'fynd', status: 500, malformed: 'html' }),
      await simulator.control('DELETE', 'faults/fault-99'),
    ];
    expect(refusals.map(({ status, body }) => `${status} ${String(body['message'])}`)).toEqual([
      '400 body knows no rotatoin',
      '400 body.rotation must be one of ["none","grace","strict"]',
      '400 body knows no statsu',
      expect.stringContaining('400 a fault needs an effect'),
      '400 operation must be one of token for konnect',
      '400 body must have property status when property retry_after is present',
      '400 a call can end in one way only, not in malformed and status',
      '404 no fault fault-99',
    ]);
  });

  it('never tell a secret that was sent', async () => {
    const { code, refresh } = await simulator.install('42');
    await simulator.renew('42', refresh);
    await simulator.konnect({ username: 'a', password: 'swordfish' });
    const text = JSON.stringify(await simulator.ledger());
    for (const secret of [code, refresh, 'swordfish', 'simulated-secret']) expect(text).not.toContain(secret);
    expect((await simulator.ledger('?operation=renew')).entries[0]).toMatchObject({
      fingerprints: { refresh_token: expect.stringMatching(/^[0-9a-f]{12}$/) },
    });
  });

  it('set everything back', async () => {
    const { access } = await simulator.install('42');
    await simulator.settings('fynd', { rotation: 'strict' });
    await simulator.fault({ provider: 'fynd', status: 500 });
    await simulator.control('POST', 'reset');
    expect((await simulator.control('GET', 'settings/fynd')).body['rotation']).toBe('none');
    expect((await simulator.control('GET', 'faults')).body).toEqual({ items: [] });
    expect((await simulator.ledger()).counters['calls']).toBe(0);
    expect((await simulator.control('POST', 'introspect', { token: access })).body).toEqual({
      active: false,
    });
  });
});

describe('the simulator', () => {
  it('answers a thousand calls at once', async () => {
    await simulator.fault({ provider: 'konnect', delay_ms: 500 });
    const calls = Array.from({ length: 1000 }, (_, n) =>
      simulator.konnect({ username: `u${n}`, password: 'p' }),
    );
    const answers = await Promise.all(calls);
    expect(answers.every(({ body }) => body['status'] === 'SUCCESS')).toBe(true);
    expect(Number((await simulator.ledger('?limit=0')).counters['peak_concurrency'])).toBeGreaterThan(100);
  });

  it('names each variable that is wrong', () => {
    const env = {
      SIMULATOR_PORT: '80a',
      SIMULATOR_API_KEY: 'a:b',
      SIMULATOR_TOKEN_TTL: '0',
      SIMULATOR_HOST: '',
    };
    expect(readEnvironment(env).mistakes).toEqual([
      'SIMULATOR_PORT must be a whole number from 0 to 65535',
      'SIMULATOR_API_KEY must be text without a colon',
      'SIMULATOR_TOKEN_TTL must be a whole number from 1 to 31536000',
    ]);
  });
});
