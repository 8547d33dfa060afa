import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { IMPORTED, obtainElsewhere, providersOf } from '../support/elsewhere.js';
import type { Answer, Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
let broker: LocalBroker;
let companies = 41_000;

beforeAll(async () => {
  const PROVIDERS_FILE = join(folder, 'providers.yaml');
  const documented = `  documented: { kind: fynd-platform, base_url: '${world.simulator.url}', api_key: k, api_secret: test-secret, renewal: document }`;
  writeFileSync(PROVIDERS_FILE, providersOf(world, documented));
  broker = await world.local({ PROVIDERS_FILE });
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});
beforeEach(() => world.sql('truncate connections, provider_states'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
  world.api(broker, method, `/v1${path}`, body);
const put = (path: string, body: unknown): Promise<Answer> => call('PUT', `/connections/${path}`, body);
const next = (): string => String(++companies);
const GOOD = { access_token: 'test-secret-a', refresh_token: 'test-secret-r', expires_in: 600 };

describe.each(IMPORTED)('an import for %s that is malformed', (provider) => {
  const NO_TOKENS = ['', 'a b', 'a\nb', 'ä', 7, true, ['a'], {}, 'x'.repeat(16_385)];
  it.each<[string, Json[]]>([
    ['refresh_token', [undefined, null, ...NO_TOKENS].map((refresh_token) => ({ refresh_token }))],
    ['access_token', NO_TOKENS.map((access_token) => ({ access_token }))],
    [
      'expires_in',
      [0, -1, 0.5, '600', true, [600], 1e300, 315_360_001].map((expires_in) => ({ expires_in })),
    ],
    ['expires_in', [{ access_token: undefined }, { access_token: null }]],
    [
      'scopes',
      ['a,b', {}, [1], [''], ['a b'], Array(201).fill('a'), ['x'.repeat(257)]].map((scopes) => ({ scopes })),
    ],
    ['paused', ['true', 1, [], {}].map((paused) => ({ paused }))],
    ['code', [{ code: 'test-secret-code' }]],
    ['username', [{ username: 'test-secret-name', password: undefined }]],
    ['token', [{ token: 'test-secret-t' }]],
  ])('is a 400 that names %s, and keeps nothing', async (field, changes) => {
    const company = next();
    for (const change of changes) {
      const { status, body, text } = await put(`${provider}/companies/${company}`, { ...GOOD, ...change });
      expect([change, status, body['code']]).toEqual([change, 400, 'invalid_request']);
      expect((body['errors'] as Json[]).map((error) => error['field'])).toEqual([field]);
      expect(text).not.toContain('test-secret');
    }
    expect((await call('GET', `/connections?company_id=${company}`)).body['items']).toEqual([]);
  });

  it('is a 400 where it is no object at all', async () => {
    for (const body of ['[]', 'null', '"test-secret"', '7', '{"refresh_token":'])
      expect((await put(`${provider}/companies/${next()}`, body)).status).toBe(400);
  });

  it('leaves what was there', async () => {
    const company = next();
    const { body } = await put(`${provider}/companies/${company}`, GOOD);
    await put(`${provider}/companies/${company}`, { ...GOOD, access_token: 'test-secret-b', expires_in: 0 });
    expect((await call('GET', `/connections/${String(body['id'])}`)).body).toEqual(body);
  });
});

describe('an import for Fynd Platform', () => {
  const imported = async (): Promise<{ company: string; id: string }> => {
    const company = next();
    const grant = await obtainElsewhere(world, 'fynd', company);
    const { body } = await put(`fynd/companies/${company}`, { ...grant, expires_in: 3_000, scopes: ['a'] });
    return { company, id: String(body['id']) };
  };
  const renew = async (id: string): Promise<Json> => (await call('POST', `/connections/${id}/renew`)).body;
  const spoken = async (company: string): Promise<string[]> => {
    const { entries } = await world.simulator.ledger(`?operation=renew&company_id=${company}`);
    return entries.map(({ dialect, outcome }) => `${String(dialect)} ${String(outcome)}`);
  };
  const providerStatus = async (): Promise<unknown> =>
    (await world.sql<Json>(`select status from provider_states where provider = 'fynd'`))[0]?.['status'];

  /** Another company has installed the extension, and was renewed as the document says. */
  async function installed(): Promise<string> {
    await world.simulator.settings('fynd', { dialects: ['document'] });
    const company = next();
    await world.install(broker, company);
    const { body } = await call('GET', `/connections?company_id=${company}`);
    const id = String((body['items'] as Json[])[0]?.['id']);
    expect(await renew(id)).toMatchObject({ token_version: 2 });
    return id;
  }

  it('is of a company, and never of a location', async () => {
    const { status, body } = await put(`fynd/companies/${next()}/locations/L1`, GOOD);
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
  });

  it('is refused where renewals take the code of a consent, which is not imported', async () => {
    const company = next();
    const { status, body } = await put(`documented/companies/${company}`, GOOD);
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
    expect(body['detail']).toMatch(/renewal/);
    expect((await call('GET', `/connections?company_id=${company}`)).body['items']).toEqual([]);
  });

  it("is renewed in the libraries' way alone, and goes on so", async () => {
    const { company, id } = await imported();
    expect(await renew(id)).toMatchObject({ token_version: 2, status: 'active' });
    expect(await renew(id)).toMatchObject({ token_version: 3 });
    expect(await spoken(company)).toEqual(['library ok', 'library ok']);
  });

  it('is renewed so, too, by a provider that is known to speak both', async () => {
    const other = await installed();
    await world.simulator.settings('fynd', { dialects: ['document', 'library'] });
    const { company, id } = await imported();
    expect(await renew(id)).toMatchObject({ token_version: 2, status: 'active' });
    expect(await spoken(company)).toEqual(['library ok']);
    expect(await renew(other)).toMatchObject({ token_version: 3, status: 'active' });
  });

  it.each(
    [400, 404, 405, 415].flatMap((status) => ['rfc6749', 'fynd'].map((style) => [status, style] as const)),
  )(
    "is suspect, and no fault of the broker's, where all others renew in the document's way: %i as in %s",
    async (refused_dialect_status, error_style) => {
      const other = await installed();
      await world.simulator.settings('fynd', { refused_dialect_status, error_style });
      const { company, id } = await imported();
      for (const status of ['suspect', 'suspect', 'suspect', 'reauthorization_required']) {
        expect(await renew(id)).toMatchObject({ status, token_version: 1 });
        expect(await providerStatus()).toBe('ok');
        const served = (await call('GET', `/tokens/fynd/companies/${company}`)).body;
        expect(served).toMatchObject({ version: 1, stale: true });
      }
      expect(new Set((await spoken(company)).map((entry) => entry.split(' ')[0]))).toEqual(
        new Set(['library']),
      );
      expect(await renew(other)).toMatchObject({ token_version: 3, status: 'active' });
    },
  );

  it.each<[string, Json]>([
    ['its secret', { status: 401, body: { error: 'invalid_client' } }],
    ['where it asks', { redirect: 'http://127.0.0.1:1/' }],
  ])('is not to blame where the provider refuses the broker itself, and %s is wrong', async (_, fault) => {
    await installed();
    const { id } = await imported();
    await world.simulator.fault({ provider: 'fynd', operation: 'renew', ...fault });
    for (let tries = 0; tries < 5; tries += 1) {
      await renew(id);
      await world.advance(40);
    }
    expect((await call('GET', `/connections/${id}`)).body).toMatchObject({
      status: 'active',
      status_reason: null,
    });
    expect(await providerStatus()).toBe('misconfigured');
  });

  it('takes a consent later as any other does, and renews with its code from then on', async () => {
    const { company, id } = await imported();
    await installed();
    await renew(id);
    await world.simulator.uninstall(company);
    await world.install(broker, company);
    expect(await renew(id)).toMatchObject({ status: 'active', last_error: null });
    expect((await spoken(company)).at(-1)).toBe('document ok');
  });
});
