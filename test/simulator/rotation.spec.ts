import { beforeEach, describe, expect, it } from '@jest/globals';
import { useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();

describe('the refresh tokens of an installation', () => {
  let first: string;
  let access: string;

  beforeEach(async () => {
    ({ refresh: first, access } = await simulator.install('42'));
  });

  async function renew(refresh: string): Promise<{ outcome: unknown; access: string; refresh: string }> {
    const { body } = await simulator.renew('42', refresh);
    const outcome = body['error'] ?? 'ok';
    return { outcome, access: String(body['access_token']), refresh: String(body['refresh_token']) };
  }

  const lastCall = async (): Promise<unknown> => (await simulator.ledger('?limit=1')).entries[0];

  it('under strict rotation end with the whole grant when an old one comes again', async () => {
    await simulator.settings('fynd', { rotation: 'strict' });
    const second = await renew(first);
    expect(await renew(first)).toMatchObject({ outcome: 'invalid_grant' });
    expect(await lastCall()).toMatchObject({ outcome: 'invalid_grant', reused: true });

    expect(await renew(second.refresh)).toMatchObject({ outcome: 'invalid_grant' });
    expect(await lastCall()).toMatchObject({ reused: false });
    expect([await simulator.resource(access), await simulator.resource(second.access)]).toEqual([401, 401]);
  });

  it('leave the tokens of users and of other companies alone when they end', async () => {
    const { body: online } = await simulator.exchange('42', await simulator.consent('42'), 'token');
    const other = await simulator.install('43');
    await simulator.settings('fynd', { rotation: 'strict' });
    await renew(first);
    await renew(first);
    expect(await simulator.resource(online['access_token'])).toBe(200);
    expect((await simulator.renew('43', other.refresh)).status).toBe(200);
  });

  it('begin anew with the next consent, which an old token does not end', async () => {
    await simulator.settings('fynd', { rotation: 'strict' });
    await renew(first);
    await renew(first);
    const again = await simulator.install('42');
    expect(await renew(first)).toMatchObject({ outcome: 'invalid_grant' });
    expect(await simulator.resource(again.access)).toBe(200);
    expect(await renew(again.refresh)).toMatchObject({ outcome: 'ok' });
  });

  it('survive a reuse where that is switched off', async () => {
    await simulator.settings('fynd', { rotation: 'strict', reuse_revokes_family: false });
    const second = await renew(first);
    expect(await renew(first)).toMatchObject({ outcome: 'invalid_grant' });
    expect(await renew(second.refresh)).toMatchObject({ outcome: 'ok' });
  });

  it('work on for the time of grace, and bring the same successor', async () => {
    await simulator.settings('fynd', { rotation: 'grace', grace_s: 60 });
    const second = await renew(first);
    expect(second.refresh).not.toBe(first);
    await simulator.control('POST', 'clock', { advance_s: 58 });
    const again = await renew(first);
    expect(again).toMatchObject({ outcome: 'ok', refresh: second.refresh });
    expect(again.access).not.toBe(second.access);
    expect(await lastCall()).toMatchObject({ outcome: 'ok', reused: true });
    expect(await renew(second.refresh)).toMatchObject({ outcome: 'ok' });
  });

  it('are a reuse once the time of grace is over', async () => {
    await simulator.settings('fynd', { rotation: 'grace', grace_s: 60 });
    const second = await renew(first);
    await simulator.control('POST', 'clock', { advance_s: 61 });
    expect(await renew(first)).toMatchObject({ outcome: 'invalid_grant' });
    expect(await lastCall()).toMatchObject({ reused: true });
    expect(await renew(second.refresh)).toMatchObject({ outcome: 'invalid_grant' });
  });

  it('have no grace after the extension was uninstalled', async () => {
    await simulator.settings('fynd', { rotation: 'grace', grace_s: 60 });
    await renew(first);
    await simulator.control('POST', 'fynd/uninstall', { company_id: 42 });
    expect(await renew(first)).toMatchObject({ outcome: 'invalid_grant' });
  });
});
