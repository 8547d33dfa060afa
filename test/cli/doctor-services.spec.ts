import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { selfSigned } from '../support/certificate.js';
import { AnsweringServers, Examinations } from '../support/examinations.js';
import { freePort } from '../support/http.js';
import { StandInKms, StandInTransit } from '../support/key-services.js';
import { aWebhookSecret, webhooksFile } from '../support/webhook-receiver.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-doctor-'));
const servers = new AnsweringServers();
const doctor = new Examinations(world, () => broker.public);
let broker: LocalBroker;

beforeAll(async () => {
  broker = await world.local();
  world.stopTicking(broker);
});
afterAll(() => {
  servers.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('of keys the doctor tells', () => {
  const ARN = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  const kms = new StandInKms('TESTACCESSKEYID', 'test-secret-aws-secret-access-key', 'eu-west-1');
  const transit = new StandInTransit('test-secret-vault-token', 'token-broker');
  const local = (): string => world.environment()['ENCRYPTION_KEYS'] ?? '';
  const ofKms = (): Record<string, string> => ({
    ENCRYPTION_KEYS: `cloud:aws-kms:${ARN},${local()}`,
    AWS_KMS_ENDPOINT: kms.url,
    AWS_ACCESS_KEY_ID: kms.accessKeyId,
    AWS_SECRET_ACCESS_KEY: 'test-secret-aws-secret-access-key',
  });
  const ofTransit = (): Record<string, string> => ({
    ENCRYPTION_KEYS: `bao:transit:token-broker,${local()}`,
    VAULT_ADDR: transit.url,
    VAULT_TOKEN: 'test-secret-vault-token',
  });

  beforeAll(() => Promise.all([kms.start(), transit.start()]));
  beforeEach(() => (kms.trouble = transit.trouble = undefined));
  afterAll(() => Promise.all([kms.stop(), transit.stop()]));

  it.each([
    ['cloud', kms, ofKms, /ARN[^]*kms:Decrypt/, /AWS_KMS_ENDPOINT/],
    ['bao', transit, ofTransit, /VAULT_TOKEN/, /VAULT_ADDR[^]*unsealed/],
  ] as const)(
    'that the service of "%s" answers, refuses, or is away, and changes nothing',
    async (id, service, variables, refused, away) => {
      const keys = 'select id, kek_id, wrapped from data_keys order by id';
      const before = await world.sql(keys);
      const { wrong, findings } = await doctor.ended(variables());
      expect(wrong).toBe('');
      expect(findings).toContainEqual({
        about: 'keys',
        level: 'ok',
        what: `the service of "${id}" answers`,
      });
      service.trouble = { status: 400, body: { __type: 'AccessDeniedException' } };
      if (service === transit) service.trouble = { status: 403, body: { errors: ['permission denied'] } };
      const isTold = async (level: RegExp, remedy: RegExp): Promise<void> => {
        const told = await doctor.ended(variables());
        expect([told.code, told.wrong]).toEqual([1, expect.stringMatching(level)]);
        expect(told.findings.find((it) => it.level === 'problem')?.remedy).toMatch(remedy);
      };
      await isTold(RegExp(`problem keys : the service of .*"${id}" refuses \\(`), refused);
      service.trouble = 'hang up';
      await isTold(RegExp(`problem keys : the service of .*"${id}" is away \\(`), away);
      expect(await world.sql(keys)).toEqual(before);
    },
  );

  it('that one which is behind the others wraps nothing, and not that it may go: it may be the next', async () => {
    const { wrong, findings } = await doctor.examined({
      ENCRYPTION_KEYS: `${local()},next:${randomBytes(32).toString('base64')}`,
    });
    expect([wrong, findings.map(({ what }) => what)]).toEqual([
      '',
      expect.arrayContaining(['nothing is wrapped by next: it was replaced, or is not first yet']),
    ]);
  });

  it('that one is not what it was', async () => {
    const [id] = local().split(':');
    const { wrong } = await doctor.examined({
      ENCRYPTION_KEYS: `${id}:${randomBytes(32).toString('base64')}`,
    });
    expect(wrong).toMatch(RegExp(`problem keys : "${id}" does not open 3 of 3 data keys that name it`));
  });
});

describe('of receivers of webhooks the doctor tells', () => {
  const file = join(folder, 'webhooks.yaml');
  const examined = async (url: string, changes: Record<string, string> = {}): Promise<string> => {
    writeFileSync(file, webhooksFile({ name: 'ops', url, secret: aWebhookSecret() }));
    return (await doctor.examined({ WEBHOOKS_FILE: file, ...changes })).wrong;
  };

  it('that they are there, and sends them nothing', async () => {
    const received: Buffer[] = [];
    let connections = 0;
    const receiver = createServer((socket) => {
      connections += 1;
      socket.on('data', (chunk) => received.push(chunk));
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const { port } = receiver.address() as AddressInfo;
    expect(await examined(`http://127.0.0.1:${port}/hooks`)).toBe('');
    expect([connections, received]).toEqual([1, []]);
    receiver.close();
  });

  it('that nobody is there', async () => {
    for (const scheme of ['http', 'https'])
      expect(await examined(`${scheme}://127.0.0.1:${await freePort()}/hooks`)).toMatch(
        /^problem webhooks ops: 127\.0\.0\.1:\d+ is not reached \(ECONNREFUSED\)/,
      );
  });

  it('that the certificate of one is not believed', async () => {
    const url = await servers.start((_, response) => response.end(), selfSigned('127.0.0.1'));
    expect(await examined(url)).toMatch(
      /^problem webhooks ops: the certificate of .* is not believed \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
    );
    expect(servers.asked).toEqual([]);
  });
});
