import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 5_000;

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});

beforeEach(async () => {
  // A reset sets the simulator's clock back, and a JWT's expiry is told by it.
  const aheadS = (world.clock.now().getTime() - Date.now()) / 1_000;
  await world.simulator.control('POST', 'clock', { advance_s: Math.max(0, aheadS) });
});

const nextCompany = (): string => String(++companies);
const put = (path: string, username: string, at: { api: string } = broker): Promise<Answer> =>
  world.api(at, 'PUT', `/v1/connections/konnect/companies/${path}`, {
    username,
    password: `test-secret-of-${username}`,
  });
const token = (path: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/konnect/companies/${path}`);
const renew = (id: unknown): Promise<Answer> =>
  world.api(broker, 'POST', `/v1/connections/${String(id)}/renew`);
const connection = async (id: unknown): Promise<Json> =>
  (await world.api(broker, 'GET', `/v1/connections/${String(id)}`)).body;

async function exchanges(username: string): Promise<Json[]> {
  return (await world.simulator.ledger(`?provider=konnect&username=${username}`)).entries;
}

async function usernameOf(accessToken: unknown): Promise<unknown> {
  return (await world.simulator.control('POST', 'introspect', { token: accessToken })).body['username'];
}

describe('company and location level', () => {
  it('are never mixed: each has its own credential and its own token', async () => {
    const company = nextCompany();
    await put(`${company}/locations/L1`, 'location-1');
    expect((await token(company)).status).toBe(404);
    expect((await token(`${company}/locations/L2`)).status).toBe(404);
    await put(company, 'company');
    await put(`${company}/locations/L2`, 'location-2');
    for (const [path, username] of [
      [company, 'company'],
      [`${company}/locations/L1`, 'location-1'],
      [`${company}/locations/L2`, 'location-2'],
    ] as const) {
      expect([path, await usernameOf((await token(path)).body['access_token'])]).toEqual([path, username]);
    }
    await world.advance(3_600);
    expect(await usernameOf((await token(`${company}/locations/L1`)).body['access_token'])).toBe(
      'location-1',
    );
    expect(await exchanges('company')).toHaveLength(1);
  });

  it("cannot share a credential: a location's would be the company's right in disguise, and the reverse", async () => {
    const [one, other] = [nextCompany(), nextCompany()];
    await put(one, 'shared');
    await put(`${other}/locations/L1`, 'shared');
    for (const path of [`${one}/locations/L1`, other]) {
      const { status, body } = await put(path, 'shared');
      expect([path, status, body['code']]).toEqual([path, 422, 'credential_rejected']);
      expect((await token(path)).status).toBe(404);
    }
    expect(await exchanges('shared')).toHaveLength(2);
    // Another location, or the same subject again, is nobody else's right.
    expect((await put(`${other}/locations/L1`, 'shared')).status).toBe(200);
    expect((await put(`${other}/locations/L2`, 'shared')).status).toBe(201);
  });

  it('cannot come to share one by two who keep it at the same time', async () => {
    const company = nextCompany();
    await world.simulator.fault({ provider: 'konnect', username: 'raced', delay_ms: 50 });
    const answers = await Promise.all([put(company, 'raced'), put(`${company}/locations/L1`, 'raced')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 422]);
  });
});

describe("a token's lifetime", () => {
  it('is the setting where the provider tells none', async () => {
    const company = nextCompany();
    await world.simulator.settings('konnect', { token_ttl: 100 });
    await put(company, 'opaque');
    expect((await token(company)).body['expires_in']).toBeGreaterThan(3_590);
  });

  it('is its own exp where the token is a JWT', async () => {
    const company = nextCompany();
    await world.simulator.settings('konnect', { jwt: true, token_ttl: 500 });
    await put(company, 'jwt');
    const expiresIn = Number((await token(company)).body['expires_in']);
    expect(expiresIn).toBeGreaterThan(490);
    expect(expiresIn).toBeLessThanOrEqual(501);
  });

  it('is the same under the older spelling of the answer', async () => {
    const company = nextCompany();
    await world.simulator.settings('konnect', { field: 'accessToken' });
    expect((await put(company, 'older')).status).toBe(201);
    expect(await usernameOf((await token(company)).body['access_token'])).toBe('older');
  });
});

describe('renewing', () => {
  it('is asking again with the same credential', async () => {
    const company = nextCompany();
    const { body } = await put(company, 'again');
    for (const version of [2, 3]) expect((await renew(body['id'])).body['token_version']).toBe(version);
    const passwords = (await exchanges('again')).map(
      ({ fingerprints }) => (fingerprints as Json)['password'],
    );
    expect(passwords).toEqual([passwords[0], passwords[0], passwords[0]]);
  });

  it('that is answered FAILURE in a 200 is a doubt, and the token in hand is served', async () => {
    const company = nextCompany();
    const { body } = await put(company, 'doubted');
    await world.simulator.fault({
      provider: 'konnect',
      username: 'doubted',
      status: 200,
      body: { status: 'FAILURE' },
    });
    const doubted = (await renew(body['id'])).body;
    expect(doubted).toMatchObject({
      status: 'suspect',
      status_reason: 'credential_refused',
      last_error: 'credential_refused',
      consecutive_failures: 1,
      token_version: 1,
    });
    expect((await token(company)).body).toMatchObject({ version: 1, stale: true });
  });

  it('is tried after 1, 5 and 30 minutes, then hourly, and comes back by itself', async () => {
    const company = nextCompany();
    const scheduled = await world.local();
    const schedule = scheduled.broker.app.get(RenewalSchedule);
    const { body } = await put(company, 'hourly', scheduled);
    const fault = { provider: 'konnect', username: 'hourly', status: 200, body: { status: 'FAILURE' } };
    await world.simulator.fault(fault);
    await renew(body['id']);
    let tries = 2;
    for (const seconds of [60, 300, 1_800, 3_600, 3_600]) {
      await world.advance(seconds - 5);
      await schedule.tick();
      expect([seconds, (await exchanges('hourly')).length]).toEqual([seconds, tries]);
      await world.advance(5);
      tries++;
      await eventually(async () => (await connection(body['id']))['consecutive_failures'] === tries - 1);
      expect([seconds, (await exchanges('hourly')).length]).toEqual([seconds, tries]);
    }
    expect(await connection(body['id'])).toMatchObject({
      status: 'reauthorization_required',
      status_reason: 'credential_refused',
    });
    expect((await token(company)).body['code']).toBe('reauthorization_required');

    await world.simulator.control('DELETE', 'faults');
    await world.advance(3_600);
    await eventually(async () => (await connection(body['id']))['status'] === 'active');
    expect((await token(company)).body).toMatchObject({ version: 2, stale: false });
    await schedule.stop();
  });
});

describe('where the credentials go', () => {
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-konnect-'));
  const seen: { method: string; url: string; body: string }[] = [];
  let aggregator: Server;

  beforeAll(async () => {
    aggregator = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        seen.push({ method: request.method ?? '', url: request.url ?? '', body });
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ status: 'SUCCESS', access_token: `test-secret-token-${seen.length}` }));
      });
    });
    await new Promise<void>((resolve) => aggregator.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    await new Promise((resolve) => aggregator.close(resolve));
    rmSync(folder, { recursive: true });
  });

  async function asked(settings: string): Promise<{ method: string; url: string; body: string } | undefined> {
    const file = join(folder, 'providers.yaml');
    const base = `http://127.0.0.1:${(aggregator.address() as AddressInfo).port}`;
    writeFileSync(file, `providers:\n  konnect:\n    kind: konnect\n    base_url: ${base}\n${settings}`);
    const other = await world.local({ PROVIDERS_FILE: file });
    expect((await put(nextCompany(), 'store & co', other)).status).toBe(201);
    await other.broker.stop();
    return seen.at(-1);
  }

  it('is the query of a GET unless the settings say otherwise', async () => {
    expect(await asked('')).toEqual({
      method: 'GET',
      url: '/aggregator/v1/token?username=store+%26+co&password=test-secret-of-store+%26+co',
      body: '',
    });
  });

  it('can be the body of a POST, and then no part of the address', async () => {
    const call = await asked('    method: POST\n    credentials_in: body\n    token_path: /v2/token\n');
    expect([call?.method, call?.url]).toEqual(['POST', '/v2/token']);
    expect(JSON.parse(call?.body ?? '')).toEqual({
      username: 'store & co',
      password: 'test-secret-of-store & co',
    });
  });
});
