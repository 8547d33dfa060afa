import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { eventually } from '../support/http.js';
import { StandInKms, StandInTransit } from '../support/key-services.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { Replica } from '../support/replica.js';
import { useWorld } from '../support/world.js';

const REGION = 'eu-west-1';
const ARN = `arn:aws:kms:${REGION}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const SECRET_KEY = 'test-secret-aws-secret-access-key';
const TOKEN = 'test-secret-vault-token';

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-services-'));
const tokenFile = join(folder, 'vault-token');
const kms = new StandInKms('TESTACCESSKEYID', SECRET_KEY, REGION);
const transit = new StandInTransit(TOKEN, 'token-broker');
const local = (): string => world.environment()['ENCRYPTION_KEYS'] ?? '';

beforeAll(async () => {
  // The client of KMS looks for its credentials among the variables of its process.
  process.env['AWS_ACCESS_KEY_ID'] = kms.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = SECRET_KEY;
  await kms.start();
  await transit.start();
  writeFileSync(tokenFile, `${TOKEN}\n`);
});
beforeEach(() => {
  for (const service of [kms, transit]) {
    service.trouble = undefined;
    service.asked.length = 0;
  }
});
afterAll(async () => {
  await kms.stop();
  await transit.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ofKms = (): Record<string, string> => ({
  ENCRYPTION_KEYS: `cloud:aws-kms:${ARN}`,
  AWS_KMS_ENDPOINT: kms.url,
  AWS_ACCESS_KEY_ID: kms.accessKeyId,
  AWS_SECRET_ACCESS_KEY: SECRET_KEY,
});
const ofTransit = (): Record<string, string> => ({
  ENCRYPTION_KEYS: 'bao:transit:token-broker',
  VAULT_ADDR: transit.url,
  VAULT_TOKEN_FILE: tokenFile,
  VAULT_NAMESPACE: 'team/integrations',
});

describe.each([
  ['AWS KMS', kms, ofKms, 'cloud'],
  ['transit', transit, ofTransit, 'bao'],
] as const)('a key-encryption key in %s', (_, service, variables, id) => {
  let database: TestDatabase;
  const environment = (changes: Record<string, string> = {}): Record<string, string> => ({
    ...variables(),
    DATABASE_URL: database.url,
    ...changes,
  });

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(async () => database?.drop());

  it('wraps the keys of a new database, and is asked once for each at a start', async () => {
    const first = await world.local(environment());
    expect((await world.keepKonnect(first, '1')).status).toBe(201);
    const { body } = await world.api(first, 'GET', '/v1/keys');
    expect(body['items']).toMatchObject([{ state: 'active', rows: 1, wrapped_by: id }]);
    await first.broker.stop();
    // Three are made, and opened again.
    expect(service.asked).toHaveLength(6);
    service.asked.length = 0;

    const again = await world.local(environment());
    for (let count = 0; count < 5; count += 1)
      expect((await world.api(again, 'GET', '/v1/tokens/konnect/companies/1')).status).toBe(200);
    expect(service.asked).toHaveLength(3);
    await again.broker.stop();
  });

  it('may be away while a replica runs: all is served, also what is new; only keys cannot be made', async () => {
    const replica = await world.local(environment());
    service.trouble = 'hang up';
    service.asked.length = 0;
    expect((await world.api(replica, 'GET', '/v1/tokens/konnect/companies/1')).status).toBe(200);
    expect((await world.keepKonnect(replica, '2')).status).toBe(201);
    expect((await world.api(replica, 'GET', '/v1/tokens/konnect/companies/2')).status).toBe(200);
    expect((await fetch(`${replica.api}/health/ready`)).status).toBe(200);
    expect(service.asked).toEqual([]);
    const { status, body } = await world.api(replica, 'POST', '/v1/keys/rotate');
    expect([status, body['code']]).toEqual([503, 'key_service_unavailable']);
    expect(body['detail']).toMatch(new RegExp(`^the service of the key-encryption key "${id}" is away \\(`));
    service.trouble = undefined;
    expect((await world.api(replica, 'POST', '/v1/keys/rotate')).status).toBe(201);
    await replica.broker.stop();
  });

  it('is waited for by a replica that starts meanwhile, which says so', async () => {
    service.trouble = { status: 503, body: { __type: 'KMSInternalException', errors: [] } };
    const since = world.logs.length;
    const starting = world.local(environment());
    // A service's own client tries three times before anybody hears of it.
    await eventually(() => service.asked.length > 3);
    service.trouble = undefined;
    const replica = await starting;
    expect(world.logs.slice(since).join('')).toMatch(
      new RegExp(`waiting: the service of the key-encryption key \\\\"${id}\\\\" is away`),
    );
    await replica.broker.stop();
  });

  it('that refuses us ends the start with 78 and a line that quotes nothing of it', async () => {
    service.trouble =
      service === kms
        ? { status: 400, body: { __type: 'AccessDeniedException', message: 'not for anybody to see' } }
        : { status: 403, body: { errors: ['not for anybody to see'] } };
    const { code, output } = await Replica.runToEnd(world.environment(environment({ LOG_LEVEL: 'error' })));
    expect(code).toBe(78);
    expect(output).toMatch(
      new RegExp(
        `^token-broker: ENCRYPTION_KEYS: the service of the key-encryption key "${id}" refuses \\([\\w ]+\\)\n$`,
      ),
    );
  });

  it('opens no data key that was moved to another id', async () => {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query(`update data_keys d set wrapped = o.wrapped from data_keys o
      where d.purpose = 'sign' and o.purpose = 'fingerprint'`);
    await client.end();
    const { code, output } = await Replica.runToEnd(world.environment(environment({ LOG_LEVEL: 'error' })));
    expect([code, output]).toEqual([78, expect.stringContaining(`key "${id}" is not the one`)]);
  });
});

describe('what goes over the wire', () => {
  it('is AWS KMS: JSON 1.1, a target, a signature that holds, the whole ARN, and a context that binds', async () => {
    const database = await createTestDatabase();
    const replica = await world.local({ ...ofKms(), DATABASE_URL: database.url });
    await replica.broker.stop();
    await database.drop();
    const [encrypt] = kms.asked;
    const decrypt = kms.asked.at(-1);
    expect(encrypt?.headers).toMatchObject({
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'TrentService.Encrypt',
      authorization: expect.stringMatching(
        /^AWS4-HMAC-SHA256 Credential=TESTACCESSKEYID\/\d{8}\/eu-west-1\/kms\/aws4_request, /,
      ),
    });
    expect(encrypt?.body).toMatchObject({ KeyId: ARN });
    expect(Buffer.from(String(encrypt?.body['Plaintext']), 'base64')).toHaveLength(32);
    expect(decrypt?.headers['x-amz-target']).toBe('TrentService.Decrypt');
    expect(decrypt?.body['KeyId']).toBe(ARN);
    const { 'token-broker': bound } = decrypt?.body['EncryptionContext'] as Record<string, string>;
    expect(JSON.parse(bound ?? '')).toEqual([
      'token-broker data key',
      expect.any(String),
      expect.any(String),
    ]);
  });

  it('is transit: its paths, token, namespace and associated data; the token is read again when it changes', async () => {
    const database = await createTestDatabase();
    const replica = await world.local({ ...ofTransit(), DATABASE_URL: database.url });
    const [encrypt] = transit.asked;
    expect([encrypt?.method, encrypt?.path]).toEqual(['POST', '/v1/transit/encrypt/token-broker']);
    expect(encrypt?.headers).toMatchObject({
      'x-vault-token': TOKEN,
      'x-vault-request': 'true',
      'x-vault-namespace': 'team/integrations',
    });
    expect(Buffer.from(String(encrypt?.body['plaintext']), 'base64')).toHaveLength(32);
    const decrypt = transit.asked.at(-1);
    expect(decrypt?.path).toBe('/v1/transit/decrypt/token-broker');
    expect(decrypt?.body['ciphertext']).toMatch(/^vault:v1:/);
    expect(JSON.parse(Buffer.from(String(decrypt?.body['associated_data']), 'base64').toString())).toEqual([
      'token-broker data key',
      expect.any(String),
      expect.any(String),
    ]);
    transit.token = `${TOKEN}-2`;
    writeFileSync(tokenFile, transit.token);
    await eventually(async () => (await world.api(replica, 'POST', '/v1/keys/rotate')).status === 201);
    await replica.broker.stop();
    await database.drop();
    transit.token = TOKEN;
    writeFileSync(tokenFile, TOKEN);
  });
});

describe('a key that was here moves into a service', () => {
  it('by adding it last, moving it first and wrapping anew; then the key that was here is needed no more', async () => {
    const first = await world.local();
    await world.keepKonnect(first, '1');
    await first.broker.stop();
    const { ENCRYPTION_KEYS: remote, ...variables } = ofKms();
    for (const keys of [`${local()},${remote}`, `${remote},${local()}`]) {
      const replica = await world.local({ ...variables, ENCRYPTION_KEYS: keys });
      expect((await world.api(replica, 'GET', '/v1/tokens/konnect/companies/1')).status).toBe(200);
      if (keys.startsWith('cloud')) {
        const { body } = await world.api(replica, 'POST', '/v1/keys/rewrap');
        expect(body['rewrapped']).toBe(3);
      }
      await replica.broker.stop();
    }
    const alone = await world.local(ofKms());
    expect((await world.api(alone, 'GET', '/v1/tokens/konnect/companies/1')).status).toBe(200);
    const { body } = await world.api(alone, 'GET', '/v1/keys');
    expect(body['key_encryption_keys']).toEqual([{ id: 'cloud', data_keys: 3 }]);
    await alone.broker.stop();
  });
});
