import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Cable } from '../support/cable.js';
import { selfSigned } from '../support/certificate.js';
import { answer, HostileServer, says } from '../support/hostile-server.js';
import { eventually, type Json } from '../support/http.js';
import type { Replica } from '../support/replica.js';
import { API_KEY, API_SECRET, useWorld } from '../support/world.js';

/** The connection is ready before anything else is, when such a process wakes. */
describe('a replica that stands still while it connects to a provider', () => {
  const world = useWorld();
  const certificate = selfSigned('127.0.0.1');
  const server = new HostileServer(certificate);
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  let way: Cable;
  let stopped: Replica;

  beforeAll(async () => {
    await server.open();
    way = new Cable(new URL(server.url));
    const url = (await way.open()).replace(/\/$/, '');
    const providers = (['none', 'strict'] as const).map(
      (rotation) =>
        `  ${rotation}: { kind: oauth2, base_url: '${url}/${rotation}', rotation: ${rotation}, authorize_url: '${url}/authorize', token_url: '${url}/token',
            client_id: ${API_KEY}, client_secret: ${API_SECRET}, timeout: 2s }`,
    );
    writeFileSync(join(folder, 'providers.yaml'), `providers:\n${providers.join('\n')}\n`);
    writeFileSync(join(folder, 'believed.pem'), certificate.cert);
  });
  afterAll(async () => {
    way.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (): Promise<Replica> =>
    world.replica({
      PROVIDERS_FILE: join(folder, 'providers.yaml'),
      NODE_EXTRA_CA_CERTS: join(folder, 'believed.pem'),
    });

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
    server.requests.length = 0;
    server.act = says(answer(200, JSON.stringify({ access_token: 'test-secret-token', expires_in: 3_600 })));
    stopped = await start();
  });
  afterEach(() => stopped.stop());

  /** Stops it in the middle of a handshake, which the provider then goes on with; resolves to when that connection is over. */
  async function stopWhileConnecting(provider: string): Promise<{ over: Promise<void> }> {
    way.hold();
    const path = `/v1/connections/${provider}/companies/42`;
    await world.api(stopped, 'PUT', path, { refresh_token: 'test-secret-first' });
    await eventually(() => way.held === 1);
    stopped.signal('SIGSTOP');
    return { over: way.letGo() };
  }

  const row = async (): Promise<Json> => (await world.sql<Json>('select * from connections'))[0] ?? {};

  it('sends no refresh token when it wakes: others have renewed since', async () => {
    const { over } = await stopWhileConnecting('none');
    const survivor = await start();
    await eventually(async () => (await row())['token_version'] === 1);
    stopped.signal('SIGCONT');
    await over;
    expect(server.requests).toHaveLength(1);
    await survivor.stop();
  });

  it('has sent nothing, and so has left no outcome unknown', async () => {
    const { over } = await stopWhileConnecting('strict');
    way.hold();
    // A lease lasts twice as long as a call may.
    await eventually(
      async () =>
        (await world.sql(`select from connections where lease_until < broker_now() + interval '1.5 s'`))[0],
    );
    stopped.signal('SIGCONT');
    await over;
    await eventually(async () => (await row())['last_error'] === 'timed_out');
    expect([(await row())['unknown_outcome'], server.requests]).toEqual([null, []]);
    await way.letGo();
  });
});
