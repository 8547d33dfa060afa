import { describe, expect, it } from '@jest/globals';
import { useEventScene } from '../support/event-scene.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld } from '../support/world.js';

describe('others are told of trouble and of its end once, though a pause lies between them:', () => {
  const world = useWorld();
  const scene = useEventScene(world);
  const { toldOf } = scene;
  let companies = 500;

  const next = (): string => String(++companies);
  const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
    world.api(scene.broker, method, `/v1${path}`, body);
  const renew = (id: unknown): Promise<Answer> => call('POST', `/connections/${String(id)}/renew`);
  const FAILURE = { status: 200, body: { access_token: null, status: 'FAILURE' } };
  const SUSPECT = ['connection.created', 'connection.suspect'];
  const pause = (id: unknown): Promise<Answer> => call('POST', `/connections/${String(id)}/pause`);
  const resume = (id: unknown): Promise<Answer> => call('POST', `/connections/${String(id)}/resume`);
  const made = async (companyId = next()): Promise<unknown> =>
    (await world.keepKonnect(scene.broker, companyId)).body['id'];
  const lastOf = (id: unknown): Json | undefined => scene.receiver.about(id).at(-1)?.data;

  const refusing = (fault: Json): Promise<unknown> =>
    world.simulator.fault({ provider: 'konnect', operation: 'token', times: 1, ...fault });

  async function suspected(companyId = next()): Promise<unknown> {
    const id = await made(companyId);
    await refusing(FAILURE);
    await renew(id);
    expect(await toldOf(id)).toEqual(SUSPECT);
    return id;
  }

  /** A renewal that is out while the connection is paused; `fault` is what comes of it. */
  async function pausedWhileRenewing(id: unknown, fault: Json): Promise<void> {
    await refusing({ ...fault, hold_until_released: true });
    const renewing = renew(id);
    await eventually(async () => (await world.simulator.ledger('?limit=0')).counters['held'] === 1);
    await pause(id);
    await world.simulator.control('POST', 'release');
    await renewing;
  }

  it('a renewal after it', async () => {
    const id = await suspected();
    await pause(id);
    await resume(id);
    expect(await toldOf(id)).toEqual(SUSPECT);
    await world.settle(scene.broker);
    expect(await toldOf(id)).toEqual([...SUSPECT, 'connection.recovered']);
  });

  it('a renewal that was out when it began', async () => {
    const id = await suspected();
    await pausedWhileRenewing(id, {});
    expect(await toldOf(id)).toEqual([...SUSPECT, 'connection.recovered']);
    expect(lastOf(id)).toMatchObject({ status: 'paused', token_version: 2 });
    await resume(id);
    await world.settle(scene.broker);
    expect(await toldOf(id)).toEqual([...SUSPECT, 'connection.recovered']);
  });

  it('a refusal that was out when it began, and a renewal after it', async () => {
    const id = await made();
    await pausedWhileRenewing(id, FAILURE);
    expect(await toldOf(id)).toEqual(SUSPECT);
    expect(lastOf(id)).toMatchObject({ status: 'paused', reason: 'paused_by_operator' });
    await resume(id);
    expect(await toldOf(id)).toEqual(SUSPECT);
    await world.settle(scene.broker);
    expect(await toldOf(id)).toEqual([...SUSPECT, 'connection.recovered']);
  });

  it('a new credential, which ends the pause, too', async () => {
    const companyId = next();
    const id = await suspected(companyId);
    await pause(id);
    await world.keepKonnect(scene.broker, companyId, 'another');
    expect(await toldOf(id)).toEqual([...SUSPECT, 'connection.replaced', 'connection.recovered']);
    expect(lastOf(id)).toMatchObject({ status: 'active' });
  });

  it('a grant for one that is dead, which is kept paused', async () => {
    const companyId = next();
    await world.install(scene.broker, companyId);
    const { body } = await call('GET', `/connections?provider=fynd&company_id=${companyId}`);
    const [{ id } = {}] = body['items'] as Json[];
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      status: 400,
      body: { error: 'invalid_grant' },
      times: 1,
    });
    await renew(id);
    const { status } = await call('PUT', `/connections/fynd/companies/${companyId}`, {
      refresh_token: 'test-secret-from-elsewhere',
      paused: true,
    });
    expect(status).toBe(200);
    const told = [
      'connection.created',
      'connection.reauthorization_required',
      'connection.replaced',
      'connection.recovered',
    ];
    expect(await toldOf(id)).toEqual(told);
    expect(lastOf(id)).toMatchObject({ status: 'paused' });
    await resume(id);
    expect(await toldOf(id)).toEqual(told);
  });

  it('another token for one that nothing renews', async () => {
    const companyId = next();
    const keep = async (): Promise<Json> => {
      const token = `test-secret-${(await world.simulator.makePortalToken()).token}`;
      const path = `/connections/portal/companies/${companyId}`;
      return (await call('PUT', path, { token, token_type: 'service' })).body;
    };
    const { id } = await keep();
    await pause(id);
    await call('POST', `/tokens/portal/companies/${companyId}/report`, { version: 1, status: 401 });
    await keep();
    expect(await toldOf(id)).toEqual([...SUSPECT, 'connection.replaced', 'connection.recovered']);
  });

  it('a pause of the provider', async () => {
    const id = await suspected();
    await call('POST', '/providers/konnect/pause');
    await world.advance(120);
    await world.settle(scene.broker);
    await call('POST', '/providers/konnect/resume');
    expect(await toldOf(id)).toEqual(SUSPECT);
    await world.settle(scene.broker);
    expect(await toldOf(id)).toEqual([...SUSPECT, 'connection.recovered']);
  });
});
