import { isDeepStrictEqual } from 'node:util';
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;

beforeAll(async () => {
  broker = await world.local();
});

beforeEach(async () => {
  await world.settle(broker);
  await world.sql('truncate connections, provider_states');
});

const call = (method: string, path: string, body?: unknown, at = broker): Promise<Answer> =>
  world.api(at, method, `/v1${path}`, body);
const refusing = (fault: Json): Promise<unknown> =>
  world.simulator.fault({ provider: 'fynd', operation: 'renew', ...fault });

/** How the one connection that there is stands; the list and the single answer say the same, unless it has moved between them. */
async function look(at = broker): Promise<Json & { advice: string }> {
  return eventually(async () => {
    const { body } = await call('GET', '/connections', undefined, at);
    const [listed = {}] = body['items'] as Json[];
    const { body: found } = await call('GET', `/connections/${String(listed['id'])}`, undefined, at);
    return isDeepStrictEqual(found, listed) && (found as Json & { advice: string });
  });
}

async function renew(): Promise<Json> {
  return (await call('POST', `/connections/${String((await look())['id'])}/renew`)).body;
}

/** The time as advice tells it. */
const toTheSecond = (time: unknown): string => `${String(time).slice(0, 19)}Z`;

describe('what a connection says of itself', () => {
  it('is that all is well, until when, and when it is renewed', async () => {
    await world.install(broker, '42');
    const well = await look();
    const [expires, renews] = [toTheSecond(well['expires_at']), toTheSecond(well['renew_at'])];
    expect(well.advice).toBe(
      `All is well; its token is served until ${expires}, and it is renewed at ${renews}.`,
    );
    expect(well['next_try_at']).toBe(well['renew_at']);
  });

  it('while its provider fails: what failed, that it is served, and when it is tried again', async () => {
    await world.install(broker, '42');
    await refusing({ status: 503 });
    const answered = await renew();
    const failing = await look();
    expect(answered['advice']).toBe(failing.advice);
    expect(failing.advice).toContain(
      'The provider failed with an error of its own; its token is served until',
    );
    expect(failing.advice).toContain(`tried again at ${toTheSecond(failing['next_try_at'])}`);
    expect(failing.advice).toContain('Nobody has to do anything unless it lasts');
  });

  it('while its provider rests after a 429: nothing before the end of that', async () => {
    await world.install(broker, '42');
    await refusing({ status: 429, retry_after: 600 });
    await renew();
    const resting = await look();
    expect(resting.advice).toContain(
      `the provider is asked too often, and it is tried again at ${toTheSecond(resting['next_try_at'])}`,
    );
    const wait = (Date.parse(String(resting['next_try_at'])) - world.clock.now().getTime()) / 1_000;
    expect(Math.abs(wait - 600)).toBeLessThan(5);
  });

  it('when its grant is dead: that a seller has to connect again, and where that begins', async () => {
    await world.install(broker, '42');
    await refusing({ status: 400, body: { error: 'invalid_grant', error_description: 'test-secret-words' } });
    await renew();
    const dead = await look();
    expect(dead.advice).toMatch(/^The provider says that this grant is dead; its token is served until /);
    const [, route = ''] = /POST \/v1(\S+)/.exec(dead.advice) ?? [];
    expect(dead['next_try_at']).toBeNull();
    expect(JSON.stringify(dead)).not.toContain('test-secret-words');
    const { status, body } = await call('POST', route, {});
    expect([status, Object.keys(body)]).toEqual([200, ['url', 'expires_at']]);
  });

  it('when it is in doubt: when it is tried again', async () => {
    await world.install(broker, '42');
    await renew();
    await refusing({ status: 401, body: {} });
    await renew();
    const suspect = await look();
    expect(suspect).toMatchObject({ status: 'suspect' });
    expect(suspect.advice).toContain('refused the renewal and did not say why');
    expect(suspect.advice).toContain(`tried again at ${toTheSecond(suspect['next_try_at'])}`);
  });

  it('while our registration is refused: that an operator has to correct the settings', async () => {
    await world.install(broker, '42');
    await refusing({ status: 401, body: { error: 'invalid_client' } });
    await renew();
    const refused = await look();
    expect(refused.advice).toMatch(
      /^The provider refuses the broker's client id or secret; its token is served/,
    );
    expect(refused.advice).toContain('an operator has to correct its settings');
  });

  it('while it, or its provider, is paused: the route that ends it, which does', async () => {
    await world.install(broker, '42');
    await call('POST', '/providers/fynd/pause');
    for (const pause of ['provider', 'connection']) {
      const { id } = await look();
      if (pause === 'connection') await call('POST', `/connections/${String(id)}/pause`);
      const { advice, next_try_at } = await look();
      expect([pause, next_try_at]).toEqual([pause, null]);
      const [, route = ''] = /POST \/v1(\S+resume)/.exec(advice) ?? [];
      expect((await call('POST', route)).status).toBe(200);
      expect((await look())['next_try_at']).not.toBeNull();
      await world.settle(broker);
      expect((await look()).advice).toMatch(/^All is well/);
    }
  });

  it('when too many of its provider were refused at once: that somebody has to look, and revive', async () => {
    for (let company = 1; company <= 5; company += 1) await world.install(broker, String(company));
    await refusing({ status: 400, body: { error: 'invalid_grant' } });
    for (const { id } of await world.sql<{ id: string }>('select id from connections'))
      await call('POST', `/connections/${id}/renew`);
    const items = (await call('GET', '/connections')).body['items'] as Json[];
    const advice = new Set(
      items.map((item) =>
        [item['status'], /revive/.test(String(item['advice'])), item['next_try_at']].join(),
      ),
    );
    expect([...advice].sort()).toEqual(['active,true,', 'reauthorization_required,true,']);
  });

  it('of a token that a person made: by when another is to be kept, and that a refused one is to be looked at', async () => {
    const path = '/connections/portal/companies/42';
    const expires_at = new Date(world.clock.now().getTime() + 600_000).toISOString();
    await call('PUT', path, { token: 'test-secret-portal', token_type: 'service', expires_at });
    const put = `PUT /v1${path}.`;
    expect((await look()).advice).toMatch(new RegExp(`keep another by ${toTheSecond(expires_at)}: ${put}$`));
    await call('POST', '/tokens/portal/companies/42/report', { version: 1, status: 401 });
    expect((await look()).advice).toMatch(
      new RegExp(`see whether it still works, and to keep another: ${put}$`),
    );
    await world.advance(601);
    await world.settle(broker);
    expect((await look()).advice).toBe(
      `This token has expired, and nothing renews it. An operator has to keep another: ${put}`,
    );
  });

  it('after it was revoked, and where its provider is not configured any more', async () => {
    await world.install(broker, '42');
    const other = await world.local({
      FYND_API_KEY: undefined,
      FYND_API_SECRET: undefined,
      FYND_SCOPES: undefined,
      FYND_BASE_URL: undefined,
      FYND_UI_URL: undefined,
    });
    const forgotten = await look(other);
    expect([forgotten['kind'], forgotten['next_try_at']]).toEqual([null, null]);
    expect(forgotten.advice).toContain('not configured here');
    await other.broker.stop();
    await call('DELETE', `/connections/${String(forgotten['id'])}`);
    const revoked = await look();
    expect(revoked.advice).toMatch(
      /^An operator has revoked this connection\. .*a seller has to connect again/,
    );
    expect(revoked['next_try_at']).toBeNull();
  });
});
