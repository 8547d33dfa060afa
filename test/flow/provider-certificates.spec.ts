import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import { selfSigned } from '../support/certificate.js';
import { answer, HostileServer, says } from '../support/hostile-server.js';
import { freePort, type Answer } from '../support/http.js';
import type { Replica } from '../support/replica.js';
import { API_KEY, UI_URL, useWorld } from '../support/world.js';

const BELIEVED = selfSigned('127.0.0.1');
const EXPIRED = selfSigned('127.0.0.1', -9, -1);
const GOOD = JSON.stringify({
  access_token: 'test-secret-token',
  refresh_token: 'test-secret-refresh',
  expires_in: 600,
});

describe('a provider over TLS', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  let port: number;
  let replica: Replica;
  let server: HostileServer;

  beforeAll(async () => {
    port = await freePort();
    writeFileSync(join(folder, 'believed.pem'), BELIEVED.cert + EXPIRED.cert);
    writeFileSync(
      join(folder, 'providers.yaml'),
      `providers:
  fynd: { kind: fynd-platform, base_url: 'https://127.0.0.1:${port}', api_key: ${API_KEY}, api_secret: test-secret-api,
          ui_url: '${UI_URL}', timeout: 1s }
  misnamed: { kind: konnect, base_url: 'https://localhost:${port}', timeout: 1s }
`,
    );
    replica = await world.replica({
      PROVIDERS_FILE: join(folder, 'providers.yaml'),
      NODE_EXTRA_CA_CERTS: join(folder, 'believed.pem'),
      // Whoever sets this for something else does not set it for providers.
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
    });
  });

  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states, credential_proofs');
    await takePlace(new HostileServer(BELIEVED));
  });

  /** From here on `other` stands where the provider stood. */
  async function takePlace(other: HostileServer): Promise<void> {
    await (server as HostileServer | undefined)?.close();
    server = other;
    server.act = says(answer(200, GOOD));
    await server.open(port);
  }

  async function callback(): Promise<Answer> {
    const browser = new Browser();
    const query = `company_id=42&client_id=${API_KEY}`;
    const begun = await browser.visit(`${replica.public}/fp/install?${query}`);
    const state = new URL(begun.headers.get('location') ?? '').searchParams.get('state');
    return browser.visit(`${replica.public}/fp/auth?${query}&state=${state}&code=test-secret-code`);
  }

  it('is spoken to where its certificate is believed', async () => {
    expect((await callback()).headers.get('location')).toBe(`${UI_URL}/company/42`);
    expect(server.requests).toHaveLength(1);
  });

  it('is told nothing where its certificate is for another name', async () => {
    const path = '/v1/connections/misnamed/companies/42';
    const { status, body } = await world.api(replica, 'PUT', path, {
      username: 'u',
      password: 'test-secret-p',
    });
    expect([status, body['code'], body['detail']]).toEqual([
      503,
      'provider_unavailable',
      expect.stringContaining('(not_reached)'),
    ]);
    expect(server.received).toBe(0);
  });

  it.each<[string, HostileServer, string]>([
    ['whom nobody knows', new HostileServer(selfSigned('127.0.0.1')), 'not_reached'],
    ['whose certificate has expired', new HostileServer(EXPIRED), 'not_reached'],
    ['who never shakes hands', new HostileServer(), 'timed_out'],
  ])('is told nothing where somebody stands in its place %s', async (_what, stranger, failure) => {
    await callback();
    await takePlace(stranger);
    const path = '/v1/tokens/fynd/companies/42';
    const refused = await world.api(replica, 'GET', `${path}?min_ttl=900`);
    expect([refused.status, refused.body['code']]).toEqual([503, 'provider_unavailable']);
    // Nothing was sent: the refresh token is surely not spent, whatever rotation there is.
    expect(await world.sql('select last_error, unknown_outcome from connections')).toEqual([
      { last_error: failure, unknown_outcome: null },
    ]);
    expect((await world.api(replica, 'GET', path)).body).toMatchObject({ version: 1, stale: true });
    // Who does not speak TLS gets its greeting, and nothing after that.
    expect(stranger.isTls ? stranger.received : stranger.requests.length).toBe(0);
  });
});
