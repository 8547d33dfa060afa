import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { AppModule } from '../../src/app.module.js';
import { guardRequests } from '../../src/broker.js';
import { CALLER_POLICIES, CallerLimits, type CallerPolicies } from '../../src/clients/caller-limits.js';
import { Environment } from '../../src/config/environment.js';
import { readSettings } from '../../src/config/settings.js';
import type { KnownRequest } from '../../src/http/access.js';
import { createAdapter } from '../../src/http/adapter.js';
import { guardDoors, Listeners } from '../../src/http/listeners.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { callerWho } from '../support/caller.js';
import { ask, type Answer } from '../support/http.js';
import { Scrape } from '../support/metrics.js';
import { ADMIN_KEY, useWorld } from '../support/world.js';

const WINDOW_S = 60;
const SMALL: CallerPolicies = {
  tokens: { quota: 5, windowS: WINDOW_S },
  reports: { quota: 2, windowS: WINDOW_S },
  reads: { quota: 4, windowS: WINDOW_S },
  changes: { quota: 3, windowS: WINDOW_S },
  denials: { quota: 3, windowS: WINDOW_S },
};
const KEY = { authorization: `Bearer ${ADMIN_KEY}` };
const TOKEN = '/v1/tokens/konnect/companies/42';

const world = useWorld();
const listeners = new Listeners();
let environment: Environment;
let app: NestFastifyApplication;
let api: string;

beforeAll(async () => {
  environment = new Environment(world.environment());
  const settings = readSettings(environment);
  const module = await Test.createTestingModule({ imports: [AppModule.with(settings, world.clock)] })
    .overrideProvider(CALLER_POLICIES)
    .useValue(SMALL)
    .compile();
  app = module.createNestApplication<NestFastifyApplication>(createAdapter([]), {
    bodyParser: false,
    logger: false,
  });
  guardRequests(app);
  await app.init();
  await listeners.open(app.getHttpAdapter().getInstance(), settings);
  api = `http://127.0.0.1:${listeners.portOf('internal')}`;
  await world.keepKonnect({ api }, '42');
});
afterAll(async () => {
  await listeners.close();
  await app.close();
  environment.close();
});
beforeEach(() => nextWindow());

const nextWindow = (): Promise<void> => world.advance(WINDOW_S + 1);

/** As often as it takes, one after the other; the last answer. */
async function use(times: number, method: string, path: string): Promise<Answer> {
  const answer = await ask(method, `${api}${path}`, KEY);
  return times > 1 ? use(times - 1, method, path) : answer;
}

const state = ({ status, headers }: Answer): unknown[] => [
  status,
  headers.get('ratelimit-policy'),
  headers.get('ratelimit'),
];

describe('a caller', () => {
  it('is told with each answer how much it may still ask for', async () => {
    const policy = '"reads";q=4;w=60';
    for (const left of [3, 2, 1, 0]) {
      expect(state(await use(1, 'GET', '/v1/connections'))).toEqual([
        200,
        policy,
        expect.stringMatching(new RegExp(`^"reads";r=${left};t=(60|59|5\\d)$`)),
      ]);
    }
  });

  it('that asks too often is refused until the window is over', async () => {
    await use(4, 'GET', '/v1/connections');
    const refused = await use(1, 'GET', '/v1/connections');
    const wait = refused.headers.get('retry-after');
    expect(Number(wait)).toBeGreaterThan(50);
    expect(state(refused)).toEqual([429, '"reads";q=4;w=60', `"reads";r=0;t=${wait}`]);
    expect(refused.body).toEqual({
      type: 'urn:token-broker:problem:rate_limited',
      title: expect.any(String),
      status: 429,
      code: 'rate_limited',
      detail: expect.any(String),
      request_id: expect.any(String),
      retry_after: Number(wait),
    });
    await nextWindow();
    expect((await use(1, 'GET', '/v1/connections')).status).toBe(200);
  });

  it('that asks for tokens is told nothing of a limit until it meets it', async () => {
    expect(state(await use(5, 'GET', TOKEN))).toEqual([200, null, null]);
    expect(state(await use(1, 'GET', TOKEN))).toEqual([
      429,
      '"tokens";q=5;w=60',
      expect.stringMatching(/^"tokens";r=0;t=\d+$/),
    ]);
  });

  it('has a limit of its own for each family of routes', async () => {
    const families: [method: string, path: string, quota: number][] = [
      ['GET', TOKEN, 5],
      ['POST', `${TOKEN}/report`, 2],
      ['GET', '/v1/providers', 4],
      ['POST', '/v1/providers/konnect/resume', 3],
    ];
    for (const [method, path, quota] of families) {
      expect([path, (await use(quota, method, path)).status === 429]).toEqual([path, false]);
      expect([path, (await use(1, method, path)).status]).toEqual([path, 429]);
    }
  });

  it.each([
    ['GET', `${TOKEN}/locations/7`, 'GET', TOKEN, 5],
    ['GET', '/v1/tokens/fynd/sessions/abc?company_id=42', 'GET', TOKEN, 5],
    ['GET', '/v1/nothing/here', 'GET', '/v1/providers', 4],
    ['POST', '/v1/nothing/here', 'DELETE', '/v1/connections/1', 3],
    ['PUT', '/v1/connections/konnect/companies/42', 'POST', '/v1/sessions', 3],
  ])('counts %s %s among what %s %s is', async (method, path, otherMethod, otherPath, quota) => {
    await use(quota, method, path);
    expect((await use(1, otherMethod, otherPath)).status).toBe(429);
  });

  it('looks at most as often as it may ask', async () => {
    for (let left = 4; left > 0; left -= 1) {
      const { status } = await fetch(`${api}/v1/connections`, { method: 'HEAD', headers: KEY });
      expect(status).toBe(200);
    }
    expect((await use(1, 'GET', '/v1/connections')).status).toBe(429);
  });

  it('meets its limit after its key was looked at, and before anything else', async () => {
    await use(4, 'GET', '/v1/connections');
    for (const path of ['/v1/connections', '/v1/nothing/here']) {
      const none = await ask('GET', `${api}${path}`);
      const wrong = await ask('GET', `${api}${path}`, { authorization: 'Bearer test-secret-unknown' });
      expect([none.status, wrong.status]).toEqual([401, 401]);
      expect(none.headers.get('ratelimit')).toBeNull();
    }
    for (const path of ['/v1/connections/malformed', '/v1/connections?unknown=1', '/v1/nothing/here']) {
      expect([path, (await use(1, 'GET', path)).status]).toEqual([path, 429]);
    }
  });

  it('is not counted for what others send without a key', async () => {
    for (let sent = 0; sent < 10; sent += 1) await ask('GET', `${api}/v1/connections`);
    expect((await use(4, 'GET', '/v1/connections')).status).toBe(200);
  });

  it('does not use up what another one has', async () => {
    const fastify = createAdapter([]).getInstance();
    guardDoors(fastify);
    fastify.addHook('onRequest', (request, _, done) => {
      const id = String(request.headers['x-id']);
      (request as KnownRequest).caller = { ...callerWho(() => true), id };
      done();
    });
    new CallerLimits(SMALL, new Metrics(), world.clock).guard(fastify);
    fastify.get('/v1/any', () => 'done');
    const statusFor = async (id: string): Promise<number> =>
      (await fastify.inject({ url: '/v1/any', headers: { 'x-id': id } })).statusCode;
    for (let sent = 0; sent < 4; sent += 1) expect(await statusFor('one')).toBe(200);
    expect([await statusFor('one'), await statusFor('other')]).toEqual([429, 200]);
    await fastify.close();
  });

  it('that was refused is counted by family', async () => {
    const before = (await Scrape.of({ api })).all('requests_limited_total');
    await use(5 + 2, 'GET', TOKEN);
    await use(3 + 1, 'DELETE', '/v1/connections/1');
    const after = (await Scrape.of({ api })).all('requests_limited_total');
    const grown = Object.keys(after).map((each) => [each, (after[each] ?? 0) - (before[each] ?? 0)]);
    expect(Object.fromEntries(grown)).toEqual({
      '{limit="tokens"}': 2,
      '{limit="reports"}': 0,
      '{limit="reads"}': 0,
      '{limit="changes"}': 1,
      '{limit="denials"}': 0,
      '{limit="unknown_credentials"}': 0,
      '{limit="public"}': 0,
    });
  });
});

describe('by default', () => {
  it('the limits are those that docs/limits.md names', async () => {
    const broker = await world.local();
    const read = await world.api(broker, 'GET', '/v1/providers');
    const change = await world.api(broker, 'POST', '/v1/providers/konnect/resume');
    const report = await world.api(broker, 'POST', `${TOKEN}/report`, { version: 1, status: 401 });
    expect([read, change, report].map(({ headers }) => headers.get('ratelimit-policy'))).toEqual([
      '"reads";q=5000;w=10',
      '"changes";q=2000;w=10',
      '"reports";q=5000;w=10',
    ]);
  });
});
