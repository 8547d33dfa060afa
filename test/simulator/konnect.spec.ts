import { describe, expect, it } from '@jest/globals';
import { type Json, told, useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();

describe('Konnect', () => {
  it('gives a token for a username and a password, in the query or in a body', async () => {
    const credential = { username: 'store-1', password: 'p' };
    const inQuery = await simulator.konnect(credential);
    expect(inQuery.body).toEqual({
      access_token: expect.stringContaining('simulated-secret'),
      status: 'SUCCESS',
    });
    const url = `${simulator.url}/aggregator/v1/token`;
    const inForm = await told(await fetch(url, { method: 'POST', body: new URLSearchParams(credential) }));
    expect(inForm.body['status']).toBe('SUCCESS');
    const headers = { 'x-access-token': String(inQuery.body['access_token']) };
    expect((await simulator.get('/aggregator/v1/resource', headers)).status).toBe(200);
  });

  it('tells a refusal in a 200', async () => {
    const { status, body } = await simulator.konnect({ username: 'store-1', password: 'wrong-one' });
    expect([status, body['status'], body['access_token']]).toEqual([200, 'FAILURE', undefined]);
    expect((await simulator.konnect({ username: 'store-1' })).body['status']).toBe('FAILURE');
  });

  it('may spell the field differently, give a JWT and end the previous token', async () => {
    await simulator.settings('konnect', {
      field: 'accessToken',
      jwt: true,
      kills_previous: true,
      token_ttl: 60,
    });
    const [first, second] = [
      String((await simulator.konnect({ username: 'a', password: 'p' })).body['accessToken']),
      String((await simulator.konnect({ username: 'a', password: 'p' })).body['accessToken']),
    ];
    const claims = JSON.parse(Buffer.from(second.split('.')[1] ?? '', 'base64url').toString()) as Json;
    expect(Math.abs(Number(claims['exp']) - Date.now() / 1000 - 60)).toBeLessThan(5);
    expect(second).toContain('simulated-secret');
    expect((await simulator.control('POST', 'introspect', { token: first })).body['active']).toBe(false);
    const state = await simulator.control('POST', 'introspect', { token: second });
    expect(state.body).toMatchObject({ provider: 'konnect', active: true, username: 'a' });
  });
});
