import { writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { DeadlineReminders } from '../../src/token/deadline-reminders.js';
import { useEventScene } from '../support/event-scene.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import type { Told } from '../support/webhook-receiver.js';
import { API_SECRET, useWorld } from '../support/world.js';

const DAY_S = 86_400;

describe('others are told, once a transition,', () => {
  const world = useWorld();
  const scene = useEventScene(world);
  const { settled, toldOf } = scene;
  let companies = 100;

  const remind = (): Promise<void> => scene.broker.broker.app.get(DeadlineReminders).look();
  const next = (): string => String(++companies);
  const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
    world.api(scene.broker, method, `/v1${path}`, body);
  const renew = (id: unknown): Promise<Answer> => call('POST', `/connections/${String(id)}/renew`);
  const refusing = (provider: string, fault: Json): Promise<unknown> =>
    world.simulator.fault({ provider, operation: 'renew', ...fault });

  const inDays = (days: number): string =>
    new Date(world.clock.now().getTime() + days * DAY_S * 1_000).toISOString();

  async function keepPortal(companyId: string, body: Json = {}): Promise<Json> {
    const { token } = await world.simulator.makePortalToken();
    const answer = await call('PUT', `/connections/portal/companies/${companyId}`, {
      token: `test-secret-${token}`,
      token_type: 'service',
      ...body,
    });
    if (answer.status > 201) throw new Error(answer.text);
    return answer.body;
  }

  async function installed(companyId = next()): Promise<Json> {
    await world.install(scene.broker, companyId);
    const { body } = await call('GET', `/connections?provider=fynd&company_id=${companyId}`);
    return (body['items'] as Json[])[0] ?? {};
  }

  it('of a connection that is made, and of one that is replaced, so that anybody can verify it', async () => {
    const companyId = next();
    const made = (await world.keepKonnect(scene.broker, `${companyId}/locations/7`)).body;
    expect(await toldOf(made['id'])).toEqual(['connection.created']);
    const [told] = scene.receiver.told as [Told];
    expect(told.believedBy).toEqual(scene.receiver.secrets);
    expect(told.headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
    });
    expect(JSON.parse(told.text)).toEqual({
      type: 'connection.created',
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      data: {
        connection_id: made['id'],
        provider: 'konnect',
        company_id: companyId,
        location_id: '7',
        level: 'location',
        status: 'active',
        reason: null,
        token_version: 1,
        expires_at: made['expires_at'],
        rotate_by: made['rotate_by'],
      },
    });
    await world.keepKonnect(scene.broker, `${companyId}/locations/7`);
    await world.keepKonnect(scene.broker, `${companyId}/locations/7`, 'another');
    expect(await toldOf(made['id'])).toEqual([
      'connection.created',
      'connection.replaced',
      'connection.replaced',
    ]);
  });

  it('and of an ordinary renewal nobody is told anything', async () => {
    const { id } = await installed();
    for (let times = 0; times < 3; times += 1) await renew(id);
    expect((await call('GET', `/connections/${String(id)}`)).body['token_version']).toBe(4);
    expect(await toldOf(id)).toEqual(['connection.created']);
    await call('POST', `/connections/${String(id)}/pause`);
    await call('POST', `/connections/${String(id)}/resume`);
    expect(await toldOf(id)).toEqual(['connection.created']);
  });

  it('of a grant that is suspected, of one that is dead, and of either that is well again', async () => {
    const { id, company_id: companyId } = await installed();
    await renew(id);
    await refusing('fynd', { status: 401, body: { message: 'no' }, times: 2 });
    await renew(id);
    await renew(id);
    const told = ['connection.created', 'connection.suspect'];
    expect(await toldOf(id)).toEqual(told);
    expect(scene.receiver.told.at(-1)?.data).toMatchObject({
      status: 'suspect',
      reason: 'refused_without_code',
      token_version: 2,
      expires_at: expect.any(String),
    });

    await renew(id);
    told.push('connection.recovered');
    expect(await toldOf(id)).toEqual(told);
    const now = (await call('GET', `/connections/${String(id)}`)).body;
    expect(scene.receiver.told.at(-1)?.data).toMatchObject({
      status: 'active',
      reason: null,
      token_version: 3,
      expires_at: now['expires_at'],
    });

    await refusing('fynd', { status: 400, body: { error: 'invalid_grant' } });
    await renew(id);
    told.push('connection.reauthorization_required');
    expect(await toldOf(id)).toEqual(told);
    expect(scene.receiver.told.at(-1)?.data).toMatchObject({
      reason: 'invalid_grant',
      expires_at: now['expires_at'],
    });
    // Tried once more, and still dead: that is no news.
    const since = new Date(world.clock.now().getTime() - 3_600_000).toISOString();
    await call('POST', '/providers/fynd/revive', { since });
    await world.settle(scene.broker);
    expect(await toldOf(id)).toEqual(told);

    await world.simulator.control('DELETE', 'faults');
    await world.install(scene.broker, String(companyId));
    told.push('connection.replaced', 'connection.recovered');
    expect(await toldOf(id)).toEqual(told);
  });

  it('of a grant that the calendar found dead, with others that were renewed in the same statement', async () => {
    const ids = [await installed(), await installed(), await installed()].map(({ id }) => id);
    await world.sql(
      `update connections set status = 'suspect', status_reason = 'x', refusals = 1 where id = $1`,
      [ids[1]],
    );
    await world.advance(3_000);
    await world.settle(scene.broker);
    expect(await toldOf(ids[0])).toEqual(['connection.created']);
    expect(await toldOf(ids[1])).toEqual(['connection.created', 'connection.recovered']);
    await refusing('fynd', { status: 400, body: { error: 'invalid_grant' }, times: 1 });
    await world.advance(3_000);
    await world.settle(scene.broker);
    await settled();
    expect(
      scene.receiver.types.filter((type) => type === 'connection.reauthorization_required'),
    ).toHaveLength(1);
  });

  it('of a token that nothing renews and that was reported, once a version, also while it is paused', async () => {
    const companyId = next();
    const { id } = await keepPortal(companyId);
    const report = (): Promise<Answer> =>
      call('POST', `/tokens/portal/companies/${companyId}/report`, { version: 1, status: 401 });
    await call('POST', `/connections/${String(id)}/pause`);
    await report();
    await report();
    await call('POST', `/connections/${String(id)}/resume`);
    const told = ['connection.created', 'connection.suspect'];
    expect(await toldOf(id)).toEqual(told);
    await keepPortal(companyId);
    expect(await toldOf(id)).toEqual([...told, 'connection.replaced', 'connection.recovered']);
  });

  it('of a token that nobody renews a week before its end, and of the end', async () => {
    const long = await keepPortal(next(), { expires_at: inDays(60) });
    const short = await keepPortal(next(), { expires_at: inDays(5) });
    await world.advance(3.9 * DAY_S);
    await remind();
    expect(await toldOf(short['id'])).toEqual(['connection.created']);
    await world.advance(0.2 * DAY_S);
    await remind();
    await remind();
    const told = ['connection.created', 'connection.expiring'];
    expect(await toldOf(short['id'])).toEqual(told);
    expect(scene.receiver.about(short['id']).at(-1)?.data).toMatchObject({
      expires_at: short['expires_at'],
      status: 'active',
    });
    await world.advance(1 * DAY_S);
    await world.settle(scene.broker);
    expect(await toldOf(short['id'])).toEqual([...told, 'connection.reauthorization_required']);
    expect(scene.receiver.about(short['id']).at(-1)?.data).toMatchObject({ reason: 'expired' });

    await world.advance(47.8 * DAY_S);
    await remind();
    expect(await toldOf(long['id'])).toEqual(['connection.created']);
    await world.advance(0.2 * DAY_S);
    await remind();
    expect(await toldOf(long['id'])).toEqual(told);
  });

  it('of the end of a token that was revoked and is kept again, as of any other', async () => {
    const { token } = await world.simulator.makePortalToken();
    const given = { token: `test-secret-${token}`, expires_at: inDays(60) };
    const companyId = next();
    const { id } = await keepPortal(companyId, given);
    await world.advance(54 * DAY_S);
    await remind();
    await call('DELETE', `/connections/${String(id)}`);
    await keepPortal(companyId, given);
    const told = ['connection.created', 'connection.expiring', 'connection.revoked', 'connection.replaced'];
    expect(await toldOf(id)).toEqual(told);
    await world.advance(5 * DAY_S);
    await remind();
    await remind();
    expect(await toldOf(id)).toEqual([...told, 'connection.expiring']);
  });

  it('of a secret that is to be replaced, two weeks before, and anew of the one that took its place', async () => {
    const companyId = next();
    const { id } = (await world.keepKonnect(scene.broker, companyId)).body;
    const revoked = (await world.keepKonnect(scene.broker, next())).body['id'];
    await call('DELETE', `/connections/${String(revoked)}`);
    await world.advance(75.9 * DAY_S);
    await remind();
    expect(await toldOf(id)).toEqual(['connection.created']);
    await world.advance(0.2 * DAY_S);
    await remind();
    await remind();
    const told = ['connection.created', 'connection.rotation_due'];
    expect(await toldOf(id)).toEqual(told);
    expect(scene.receiver.about(id).at(-1)?.data).toMatchObject({ rotate_by: expect.any(String) });
    // The same kept again is no newer, and was told of.
    await world.keepKonnect(scene.broker, companyId);
    await remind();
    told.push('connection.replaced');
    expect(await toldOf(id)).toEqual(told);
    await world.keepKonnect(scene.broker, companyId, `${companyId}-new`);
    await world.advance(76.1 * DAY_S);
    await remind();
    expect(await toldOf(id)).toEqual([...told, 'connection.replaced', 'connection.rotation_due']);
    expect(await toldOf(revoked)).toEqual(['connection.created', 'connection.revoked']);
  });

  it('of a connection that is revoked, whoever ends it, and of one that is connected again', async () => {
    const { id, company_id: companyId } = await installed();
    await call('DELETE', `/connections/${String(id)}`);
    await call('DELETE', `/connections/${String(id)}`);
    const told = ['connection.created', 'connection.revoked'];
    expect(await toldOf(id)).toEqual(told);
    expect(scene.receiver.told.at(-1)?.data).toMatchObject({ status: 'revoked' });
    await world.install(scene.broker, String(companyId));
    expect(await toldOf(id)).toEqual([...told, 'connection.replaced']);
  });

  it('of a provider that refuses the broker itself, and of its coming round', async () => {
    const { id } = await installed();
    const change = async (secret: string): Promise<void> => {
      writeFileSync(scene.secretFile, secret);
      const provider = scene.broker.broker.app.get(ProviderRegistry).get('fynd');
      await eventually(() => provider.credentialsInForce().reveal().includes(`"${secret}"`));
    };
    await change('test-secret-that-is-wrong');
    await renew(id);
    await world.advance(60);
    await renew(id);
    expect((await toldOf('fynd')).filter((type) => type.startsWith('provider.'))).toEqual([
      'provider.misconfigured',
    ]);
    expect(scene.receiver.told.at(-1)?.data).toEqual({ provider: 'fynd', reason: expect.any(String) });
    await change(API_SECRET);
    await renew(id);
    expect((await toldOf('fynd')).filter((type) => type.startsWith('provider.'))).toEqual([
      'provider.misconfigured',
      'provider.recovered',
    ]);
    expect(await toldOf(id)).toContain('connection.created');
  });

  it('of a provider that refuses so many that it is asked no more, and of its being asked again', async () => {
    const ids: unknown[] = [];
    for (let n = 0; n < 5; n += 1) ids.push((await installed())['id']);
    await refusing('fynd', { status: 400, body: { error: 'invalid_grant' } });
    for (const id of ids) await renew(id);
    await settled();
    expect(
      scene.receiver.types.filter((type) => type === 'connection.reauthorization_required'),
    ).toHaveLength(3);
    const ofProvider = (): Json[] =>
      scene.receiver.told
        .filter(({ type }) => type.startsWith('provider.'))
        .map(({ type, data }) => ({ type, ...data }));
    expect(ofProvider()).toEqual([
      { type: 'provider.misconfigured', provider: 'fynd', reason: 'mass_refusals' },
    ]);
    await call('POST', '/providers/fynd/pause');
    await call('POST', '/providers/fynd/resume');
    await call('POST', '/providers/fynd/resume');
    await settled();
    expect(ofProvider().slice(1)).toEqual([{ type: 'provider.recovered', provider: 'fynd', reason: null }]);
  });
});
