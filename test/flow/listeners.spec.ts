import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, eventually, type Answer } from '../support/http.js';
import { Replica } from '../support/replica.js';
import { ADMIN_KEY, API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let ops: string;
const KEY = { authorization: `Bearer ${ADMIN_KEY}` };
const INSTALL = `/fp/install?company_id=42&client_id=${API_KEY}`;

beforeAll(async () => {
  broker = await world.local({ OPS_PORT: '0' });
  ops = `http://127.0.0.1:${broker.broker.portOf('ops')}`;
  await world.keepKonnect(broker, '42');
});

/** Nothing at this path: the same problem for every path, with or without a key. */
function expectNothing(answer: Answer): void {
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  expect(answer.headers.get('www-authenticate')).toBeNull();
  expect({ ...answer.body, request_id: '' }).toEqual({
    type: 'urn:token-broker:problem:not_found',
    title: expect.any(String),
    status: 404,
    code: 'not_found',
    detail: expect.any(String),
    request_id: '',
  });
}

const INTERNAL = [
  ...['/v1/connections', '/v1/tokens/konnect/companies/42', '/v1/providers', '/v1/clients', '/v1/keys'],
  ...['/health/live', '/health/ready', '/health/startup', '/metrics'],
];
const NOWHERE = [
  '/',
  '/v1',
  '/v1/',
  '/v1/nothing/here',
  '/docs',
  '/openapi.json',
  '/console',
  '/favicon.ico',
];

describe('the public listener', () => {
  it('answers what a browser needs', async () => {
    const { status, headers } = await ask('GET', `${broker.public}${INSTALL}`);
    expect([status, headers.get('location')?.startsWith(world.simulator.url)]).toEqual([302, true]);
  });

  it.each([...INTERNAL, ...NOWHERE])('has nothing at %s, not even for a valid key', async (path) => {
    for (const headers of [{}, KEY]) expectNothing(await ask('GET', `${broker.public}${path}`, headers));
    expectNothing(await ask('POST', `${broker.public}${path}`, KEY, {}));
  });

  it('has nothing at what is spelt differently, or asked for under the internal name', async () => {
    for (const path of ['/fp/../v1/connections', '/%76%31/connections', '/fp/%2e%2e/metrics', '//metrics']) {
      expectNothing(await ask('GET', `${broker.public}${path}`, KEY));
    }
    const internal = new URL(broker.api).host;
    expectNothing(await ask('GET', `${broker.public}/metrics`, { 'x-forwarded-host': internal }));
  });
});

describe('the internal listener', () => {
  it('answers its own routes', async () => {
    for (const path of ['/v1/connections', '/v1/tokens/konnect/companies/42', '/health/ready', '/metrics']) {
      expect([path, (await ask('GET', `${broker.api}${path}`, KEY)).status]).toEqual([path, 200]);
    }
  });

  it('never answers a browser route, not even that it is one', async () => {
    const routes = [INSTALL, '/fp/auth?code=a&state=b', '/fp/nothing', '/oauth/connect/authorize?link=a'];
    for (const path of [...routes, '/oauth/connect/callback?code=a&state=b']) {
      const answer = await ask('GET', `${broker.api}${path}`, KEY);
      expectNothing(answer);
      expect(answer.headers.get('set-cookie')).toBeNull();
    }
    for (const path of ['/fp/uninstall', '/fp/auto_install']) {
      expectNothing(await ask('POST', `${broker.api}${path}`, KEY, { company_id: 42 }));
    }
  });
});

describe('the listener for operations', () => {
  it('answers health and metrics, and nothing else', async () => {
    for (const path of ['/health/live', '/health/ready', '/health/startup', '/metrics']) {
      expect([path, (await ask('GET', `${ops}${path}`)).status]).toEqual([path, 200]);
    }
    for (const path of [
      ...INTERNAL.filter((it) => it.startsWith('/v1')),
      ...NOWHERE,
      INSTALL,
      '/health',
      '/fp/auth',
    ]) {
      expectNothing(await ask('GET', `${ops}${path}`, KEY));
    }
  });

  it('is off unless it is asked for', async () => {
    const other = await world.local();
    expect(other.broker.portOf('ops')).toBeUndefined();
  });
});

describe('one side alone', () => {
  it('PORT=off leaves the browser routes, and health where operations look', async () => {
    const other = await world.local({ PORT: 'off', OPS_PORT: '0' });
    expect(other.broker.portOf('internal')).toBeUndefined();
    expect((await ask('GET', `${other.public}${INSTALL}`)).status).toBe(302);
    expectNothing(await ask('GET', `${other.public}/v1/connections`, KEY));
    const live = `http://127.0.0.1:${other.broker.portOf('ops')}/health/live`;
    expect((await ask('GET', live)).status).toBe(200);
  });

  it('PUBLIC_PORT=off leaves the internal routes', async () => {
    const other = await world.local({ PUBLIC_PORT: 'off' });
    expect(other.broker.portOf('public')).toBeUndefined();
    expect((await ask('GET', `${other.api}/v1/connections`, KEY)).status).toBe(200);
    expectNothing(await ask('GET', `${other.api}${INSTALL}`));
  });

  it('off on both sides is no broker: the start fails with one clear line', async () => {
    const ended = await Replica.runToEnd(world.environment({ PORT: 'off', PUBLIC_PORT: 'off' }));
    expect([ended.code, ended.output]).toEqual([
      78,
      'token-broker: PORT and PUBLIC_PORT are both off: nothing would be served\n',
    ]);
  });
});

describe('TLS on PORT', () => {
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-tls-'));
  const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  let port: number | undefined;
  let other: LocalBroker;

  afterAll(() => rmSync(folder, { recursive: true }));

  function makeCertificate(name: string): void {
    const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const files = ['-keyout', keyFile, '-out', certFile];
    execFileSync('openssl', ['req', '-x509', ...key, ...subject, ...files], { stdio: 'ignore' });
  }

  /** Status of a call that trusts `ca` alone, and the name in the certificate that answered. */
  async function callTls(ca: Buffer): Promise<[number | undefined, string]> {
    return new Promise((resolve, reject) => {
      const url = `https://127.0.0.1:${port}/v1/connections`;
      const sent = httpsRequest(url, { headers: KEY, ca, agent: false }, (response) => {
        const { CN } = (response.socket as TLSSocket).getPeerCertificate().subject;
        response.resume().on('end', () => resolve([response.statusCode, String(CN)]));
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  it('speaks HTTPS there and nothing else, while the public listener stays as it is', async () => {
    makeCertificate('first');
    other = await world.local({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile });
    port = other.broker.portOf('internal');
    expect(await callTls(readFileSync(certFile))).toEqual([200, 'first']);
    await expect(ask('GET', `${other.api}/v1/connections`, KEY)).rejects.toThrow();
    expect((await ask('GET', `${other.public}${INSTALL}`)).status).toBe(302);
  });

  it('takes a renewed certificate without a restart, and refuses nobody meanwhile', async () => {
    const former = readFileSync(certFile);
    makeCertificate('second');
    const renewed = readFileSync(certFile);
    const both = Buffer.concat([former, renewed]);
    await eventually(async () => {
      const [status, name] = await callTls(both);
      expect(status).toBe(200);
      return name === 'second';
    });
    expect(await callTls(renewed)).toEqual([200, 'second']);
    await expect(callTls(former)).rejects.toThrow();
  });

  it('needs both files, or the start fails with one clear line', async () => {
    for (const changes of [{ TLS_CERT_FILE: certFile }, { TLS_KEY_FILE: keyFile }]) {
      const ended = await Replica.runToEnd(world.environment(changes));
      expect([ended.code, ended.output.split('\n').length]).toEqual([78, 2]);
      expect(ended.output).toMatch(/TLS_CERT_FILE and TLS_KEY_FILE/);
    }
  });
});
