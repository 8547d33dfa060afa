import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { TokenBroker, type Subject, type TokenBrokerError } from '../../client/src/index.js';
import { eventually } from '../support/http.js';
import { beginSession } from '../support/sessions.js';
import { refusal, WatchedClient } from '../support/watched-client.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
const clients = new WatchedClient(world, () => broker);

beforeAll(async () => {
  broker = await world.local({ FYND_ACCESS_MODE: 'both' });
  world.stopTicking(broker);
});

describe('a token', () => {
  it('is asked for once by a thousand callers at once, and says how it is used', async () => {
    const subject = await clients.install('1');
    const tokens = clients.make();
    const got = await Promise.all(Array.from({ length: 1_000 }, () => tokens.token('fynd', subject)));
    expect(clients.asked).toEqual(['GET /v1/tokens/fynd/companies/1']);
    const [token] = got;
    expect(token).toMatchObject({ baseUrl: world.simulator.url, version: 1, stale: false, level: 'company' });
    expect(token?.header).toEqual({ name: 'Authorization', value: `Bearer ${token?.accessToken}` });
    expect(await world.simulator.resource(token?.accessToken, 'configuration/v1.0/application')).toBe(200);
  });

  it('is answered from memory until it is time to ask, and then still at once, with a look beside it', async () => {
    const subject = await clients.install('2');
    const tokens = clients.make();
    for (let second = 0; second < 1_800; second += 100) {
      await tokens.token('fynd', subject);
      world.clock.advance(100);
    }
    expect(clients.asked).toHaveLength(1);
    // At most 80 % of an hour: the broker has the next one by then, or soon.
    world.clock.advance(1_100);
    expect((await tokens.token('fynd', subject)).version).toBe(1);
    await eventually(() => clients.asked.length === 2);
    await world.advance(0);
  });

  it('is asked for anew where it is too short for this caller, whatever others were given', async () => {
    const subject = await clients.install('3');
    const tokens = clients.make();
    const first = await tokens.token('fynd', subject);
    await world.advance(1_800);
    const longer = await tokens.token('fynd', { ...subject, minTtl: 2_500 });
    expect([first.version, longer.version]).toEqual([1, 2]);
    expect((await tokens.token('fynd', subject)).version).toBe(2);
  });

  it('stays in hand where it does not meet what somebody else asks for', async () => {
    const subject = await clients.install('15');
    const tokens = clients.make();
    await tokens.token('fynd', subject);
    const lacking = { ...subject, scopes: ['company/nobody-has-this'] };
    expect((await refusal(tokens.token('fynd', lacking))).code).toBe('scope_missing');
    await tokens.token('fynd', subject);
    expect(clients.asked).toHaveLength(2);
  });

  it('is never replaced by an older one, however late that comes', async () => {
    const subject = await clients.install('14');
    let release = (): void => undefined;
    let isAnswered = false;
    const held = new Promise<void>((resolve) => (release = resolve));
    const tokens = clients.make({
      fetch: async (url, init) => {
        const answer = await fetch(url, init);
        isAnswered = true;
        if (answer.url.includes('min_ttl=30')) await held;
        return answer;
      },
    });
    const late = tokens.token('fynd', subject);
    // Clocks are set one after the other: the broker is not to look at its row in between.
    await eventually(() => isAnswered);
    await world.advance(1_800);
    expect((await tokens.token('fynd', { ...subject, minTtl: 2_500 })).version).toBe(2);
    release();
    expect((await late).version).toBe(1);
    expect((await tokens.token('fynd', subject)).version).toBe(2);
  });

  it('is used on while the broker is away, for as long as it lives, and the broker left alone meanwhile', async () => {
    const subject = await clients.install('4');
    const failures: TokenBrokerError[] = [];
    let isAway = false;
    const tokens = clients.make({
      deadlineMs: 300,
      onRefreshFailed: (error) => failures.push(error),
      fetch: (url, init) => (isAway ? Promise.reject(new Error('gone')) : fetch(url, init)),
    });
    const token = await tokens.token('fynd', subject);
    isAway = true;
    world.clock.advance(3_000);
    for (let call = 0; call < 50; call += 1)
      expect((await tokens.token('fynd', subject)).version).toBe(token.version);
    await eventually(() => failures.length > 0);
    expect(failures.map(({ code }) => code)).toEqual(['broker_unreachable']);
    const tries = clients.asked.length;
    await tokens.token('fynd', subject);
    expect(clients.asked.length).toBe(tries);
    world.clock.advance(601);
    expect((await refusal(tokens.token('fynd', subject))).code).toBe('broker_unreachable');
    isAway = false;
    await world.advance(0);
    expect((await tokens.token('fynd', subject)).version).toBeGreaterThanOrEqual(token.version);
  });

  it('that the broker says nobody is to have any more is not used on', async () => {
    const subject = await clients.install('5');
    const tokens = clients.make();
    const { connectionId } = await tokens.token('fynd', subject);
    await world.api(broker, 'DELETE', `/v1/connections/${connectionId}`);
    world.clock.advance(2_900);
    await tokens.token('fynd', subject);
    const gone = (): Promise<unknown> =>
      tokens.token('fynd', subject).then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(await eventually(gone)).toMatchObject({ code: 'connection_revoked', isFinal: true });
    await world.advance(0);
  });

  it('of a location is its own, and falls back to its company only where that was asked for', async () => {
    await world.keepKonnect(broker, '6');
    await world.keepKonnect(broker, '6/locations/7');
    const tokens = clients.make();
    const of = (subject: Omit<Subject, 'company'>): Promise<{ level: string }> =>
      tokens.token('konnect', { company: 6, ...subject });
    expect((await of({ location: 7 })).level).toBe('location');
    expect((await refusal(of({ location: 8 }) as Promise<unknown>)).code).toBe('connection_not_found');
    expect((await of({ location: 8, level: 'location_then_company' })).level).toBe('company');
    expect((await refusal(of({ location: 8 }) as Promise<unknown>)).code).toBe('connection_not_found');
  });

  it("of a session is its user's alone, and never its company's", async () => {
    await clients.install('9');
    const session = await beginSession(world, broker, { companyId: '9', userId: 'ann' });
    const tokens = clients.make();
    const token = await tokens.session(session.id, { company: 9 });
    expect([token.accessToken, token.userId]).toEqual([session.token, 'ann']);
    expect((await tokens.token('fynd', { company: 9 })).accessToken).not.toBe(session.token);
    expect((await refusal(tokens.session(session.id, { company: 1 }))).code).toBe('session_not_found');
  });

  it('shows no secret where it is printed', async () => {
    const token = await clients.make().token('fynd', await clients.install('10'));
    for (const text of [inspect(token, { depth: 9, showHidden: true }), JSON.stringify(token)])
      expect(text).not.toContain(token.accessToken);
  });

  it('is never asked for under an id that leads elsewhere', async () => {
    const tokens = clients.make();
    for (const company of ['..', '.', 'a/b', '', '1?x=2', 'x'.repeat(65)])
      expect(() => tokens.source('fynd', { company })).toThrow(/invalid_request: company/);
    expect(() => tokens.source('../clients', { company: 1 })).toThrow(/invalid_request: provider/);
    await expect(Promise.resolve().then(() => tokens.session('../../x', { company: 1 }))).rejects.toThrow(
      /session/,
    );
    expect(clients.asked).toEqual([]);
  });

  it('is forgotten, longest unused first, where there are more than may be kept', async () => {
    for (const company of ['11', '12', '13']) await clients.install(company);
    const tokens = clients.make({ mostTokens: 2 });
    for (const company of ['11', '12', '11', '13', '11', '12']) await tokens.token('fynd', { company });
    expect(clients.asked.map((it) => it.split('/').at(-1))).toEqual(['11', '12', '13', '12']);
  });
});

describe('the broker', () => {
  it('is asked again after a refusal that passes, and not after one that does not', async () => {
    const subject = await clients.install('20');
    let refusals = 2;
    const tokens = clients.make({
      fetch: (url, init) =>
        (refusals -= 1) >= 0 ? Promise.resolve(new Response('', { status: 503 })) : fetch(url, init),
    });
    expect((await tokens.token('fynd', subject)).version).toBe(1);
    expect(clients.asked).toHaveLength(3);
    const stranger = clients.make({
      key: 'tbk_0123456789abcdef_0123456789012345678901234567890123456789012',
    });
    const refused = await refusal(stranger.token('fynd', subject));
    expect([refused.code, refused.details.status, clients.asked.length]).toEqual(['unauthenticated', 401, 1]);
    expect(refused.details.requestId).toMatch(/.+/);
  });

  it('is waited for no longer than the deadline, which counts every try', async () => {
    const began = performance.now();
    const hanging: typeof fetch = (_url, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error));
      });
    const error = await refusal(
      clients.make({ deadlineMs: 200, fetch: hanging }).token('fynd', { company: 1 }),
    );
    expect([error.code, error.isTemporary]).toEqual(['broker_unreachable', true]);
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  it.each([
    ['no JSON', `{"access_token": "test-secret-half`],
    ['another JSON', '{"status":"ok","access_token":"test-secret-whole"}'],
    ['null', 'null'],
  ])('is not taken for who answers 200 with %s, and a token in hand is used on', async (_what, body) => {
    const subject = await clients.install('22');
    const failures: TokenBrokerError[] = [];
    let isGateway = false;
    const tokens = clients.make({
      deadlineMs: 300,
      onRefreshFailed: (error) => failures.push(error),
      fetch: (url, init) => (isGateway ? Promise.resolve(new Response(body)) : fetch(url, init)),
    });
    const { version } = await tokens.token('fynd', subject);
    isGateway = true;
    world.clock.advance(2_900);
    expect((await tokens.token('fynd', subject)).version).toBe(version);
    await eventually(() => failures.length > 0);
    world.clock.advance(701);
    for (const error of [...failures, await refusal(tokens.token('fynd', subject))]) {
      expect(error).toMatchObject({ name: 'TokenBrokerError', code: 'broker_unreachable' });
      expect(error.message).not.toContain('test-secret');
    }
    await world.advance(0);
  });

  it('is shown what a file holds at that moment, be it a key or a token of a workload', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'token-broker-client-'));
    const keyFile = join(folder, 'token');
    try {
      await writeFile(keyFile, 'not a key\n');
      const subject = await clients.install('21');
      const tokens = new TokenBroker({ url: broker.api, keyFile });
      expect((await refusal(tokens.token('fynd', subject))).code).toBe('unauthenticated');
      await writeFile(keyFile, `${ADMIN_KEY}\n`);
      expect((await tokens.token('fynd', subject)).version).toBe(1);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
