import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Action, Caller } from '../../src/http/caller.js';
import { Problem } from '../../src/shared/problem.js';
import type { Served } from '../../src/token/served.js';
import { TokenService } from '../../src/token/token.service.js';
import type { Answer, Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';
import { callerWho } from '../support/caller.js';

const PROVIDERS = `
providers:
  portal: { kind: portal }
  other: { kind: portal, base_url: https://other.example/api/, header: { name: x-portal-token } }
  schemed: { kind: portal, header: { name: x-portal-token, scheme: Token } }
`;

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
let broker: LocalBroker;
let companies = 21_000;

beforeAll(async () => {
  const file = join(folder, 'providers.yaml');
  writeFileSync(file, PROVIDERS);
  broker = await world.local({ PROVIDERS_FILE: file });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const next = (): string => String(++companies);
const inSeconds = (seconds: number): string =>
  new Date(world.clock.now().getTime() + seconds * 1_000).toISOString();
const get = (path: string): Promise<Answer> => world.api(broker, 'GET', `/v1/tokens/${path}`);

async function keep(path: string, changes: Json = {}): Promise<Json> {
  const body = { token: `test-secret-${path.replaceAll('/', '-')}`, token_type: 'service', ...changes };
  const answer = await world.api(broker, 'PUT', `/v1/connections/${path}`, body);
  if (answer.status > 201) throw new Error(answer.text);
  return answer.body;
}

describe('a token of the portal', () => {
  it('travels in the header that the file names, and where nobody says it is good, base_url is null', async () => {
    const company = next();
    const answers: Json = {};
    for (const provider of ['portal', 'other', 'schemed']) {
      await keep(`${provider}/companies/${company}`, { token: 'test-secret-t' });
      const { header, base_url } = (await get(`${provider}/companies/${company}`)).body;
      answers[provider] = [header, base_url];
    }
    expect(answers).toEqual({
      portal: [{ name: 'Authorization', value: 'Bearer test-secret-t' }, null],
      other: [{ name: 'x-portal-token', value: 'test-secret-t' }, 'https://other.example/api'],
      schemed: [{ name: 'x-portal-token', value: 'Token test-secret-t' }, null],
    });
  });

  it.each<[string, number | null, number]>([
    ['has no end', null, 300],
    ['lives for a month', 30 * 86_400, 300],
    ['is about to expire', 120, 120],
  ])(
    'is to be asked for again in 5 minutes at the latest, and never past its end, where it %s',
    async (_, life, due) => {
      const path = `portal/companies/${next()}`;
      await keep(path, { expires_at: life === null ? null : inSeconds(life) });
      const { body } = await get(path);
      const wait = (Date.parse(String(body['refresh_after'])) - world.clock.now().getTime()) / 1_000;
      expect(Math.abs(wait - due)).toBeLessThan(2);
    },
  );

  it('is served for as long as a caller wants it to live, and else it says how long that is', async () => {
    const path = `portal/companies/${next()}`;
    const { id } = await keep(path, { expires_at: inSeconds(1_000) });
    // All of it, since nothing can be renewed for it: not only 90 %.
    expect((await get(`${path}?min_ttl=990`)).status).toBe(200);
    const { status, body } = await get(`${path}?min_ttl=1001`);
    expect([status, body['code'], body['connection_id']]).toEqual([409, 'ttl_unsatisfiable', id]);
    expect(body['max_ttl']).toBeGreaterThan(990);
    expect(body['max_ttl']).toBeLessThan(1_000);
    expect((await get(`${path}?min_ttl=${String(body['max_ttl'])}`)).status).toBe(200);
  });

  it('without an end satisfies everybody', async () => {
    const path = `portal/companies/${next()}`;
    await keep(path);
    expect((await get(`${path}?min_ttl=3600`)).body).toMatchObject({ expires_in: null, stale: false });
  });

  it('has the scopes that were said, and no others', async () => {
    const path = `portal/companies/${next()}`;
    await keep(path, { scopes: ['orders', 'products'] });
    expect((await get(`${path}?scope=orders`)).body['scopes']).toEqual(['orders', 'products']);
    const { status, body } = await get(`${path}?scope=orders,stock,returns`);
    expect([status, body['code'], body['missing_scopes']]).toEqual([
      409,
      'scope_missing',
      ['stock', 'returns'],
    ]);
    // Nobody but a person can widen it.
    expect(body).not.toHaveProperty('authorize_url');
  });
});

describe('a personal token', () => {
  /** May do everything, but what is refused by name. */
  const without = (refused: Action, on?: string): Caller =>
    callerWho((action, resource) => action !== refused || (on !== undefined && resource !== on));
  const subject = (
    companyId: string,
    locationId: string | null = null,
  ): Parameters<TokenService['fetch']>[0] => ({
    provider: 'portal',
    companyId,
    locationId,
  });
  const wish = { minTtl: 0, scopes: [] };
  const tokens = (): TokenService => broker.broker.app.get(TokenService);

  async function codeOf(served: Promise<Served>): Promise<string> {
    const problem: unknown = await served.then(
      () => 'served',
      (error: unknown) => error,
    );
    return problem instanceof Problem ? problem.code : String(problem);
  }

  it('takes a permission of its own, to read it and to report it', async () => {
    const company = next();
    await keep(`portal/companies/${company}`, { token_type: 'personal' });
    const reader = without('token:read-personal');
    expect(await codeOf(tokens().fetch(subject(company), wish, false, reader))).toBe('forbidden');
    expect(await codeOf(tokens().report(subject(company), 1, reader))).toBe('forbidden');
    expect((await get(`portal/companies/${company}`)).body).not.toHaveProperty('warning');
    const owner = without('token:read-session');
    expect(await codeOf(tokens().fetch(subject(company), wish, false, owner))).toBe('served');
    expect(await codeOf(tokens().report(subject(company), 1, owner))).toBe('served');
  });

  it.each(['service', 'base', 'test'])('is the only type that does: %s does not', async (token_type) => {
    const company = next();
    await keep(`portal/companies/${company}`, { token_type });
    const reader = without('token:read-personal');
    expect(await codeOf(tokens().fetch(subject(company), wish, false, reader))).toBe('served');
  });

  it('becomes readable by all when a service token takes its place, and the other way round', async () => {
    const company = next();
    const path = `portal/companies/${company}`;
    const reader = without('token:read-personal');
    await keep(path, { token_type: 'personal' });
    await keep(path, { token_type: 'service', token: 'test-secret-service' });
    expect(await codeOf(tokens().fetch(subject(company), wish, false, reader))).toBe('served');
    await keep(path, { token_type: 'personal' });
    expect(await codeOf(tokens().fetch(subject(company), wish, false, reader))).toBe('forbidden');
  });

  it("is judged by the location that it is of, and a company's is as if it were not there", async () => {
    const company = next();
    await keep(`portal/companies/${company}`, { token_type: 'personal' });
    await keep(`portal/companies/${company}/locations/L1`, { token_type: 'personal' });
    const ofLocation = without('token:read-personal', `portal/companies/${company}/locations/L1`);
    const fallBack = (caller: Caller): Promise<Served> =>
      tokens().fetch(subject(company, 'L2'), wish, true, caller);
    expect(await codeOf(tokens().fetch(subject(company, 'L1'), wish, true, ofLocation))).toBe('forbidden');
    expect(await codeOf(tokens().fetch(subject(company), wish, false, ofLocation))).toBe('served');
    expect(await codeOf(fallBack(ofLocation))).toBe('served');
    expect(await codeOf(fallBack(without('token:read-personal')))).toBe('connection_not_found');
  });
});

describe("a company's token", () => {
  it('is nothing that a location of it falls back to, where the caller may not read it', async () => {
    const company = next();
    await keep(`portal/companies/${company}`);
    const location = { provider: 'portal', companyId: company, locationId: 'L1' };
    const wish = { minTtl: 0, scopes: [] };
    const caller = callerWho((_, resource) => resource === `portal/companies/${company}/locations/L1`);
    const fetched = broker.broker.app.get(TokenService).fetch(location, wish, true, caller);
    await expect(fetched).rejects.toMatchObject({ code: 'connection_not_found' });
  });
});
