import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { eventually, freePort } from '../support/http.js';
import { type Contained, Image } from '../support/image.js';
import { useWorld } from '../support/world.js';

interface Service {
  readonly command?: string[];
  readonly environment?: Record<string, string>;
  readonly ports?: string[];
  readonly volumes?: string[];
  readonly build?: string | { target: string };
  readonly depends_on?: string[] | Record<string, { condition: string }>;
}

interface Composition {
  readonly services: Record<'secrets' | 'database' | 'broker' | 'simulator' | 'demo', Service>;
}

const SECRETS = ['admin-key', 'database-password', 'database-url', 'encryption-keys'];

/** Runs what the file says without an engine: each service's command and environment, with the paths and ports of this machine. */
describe('docker compose up', () => {
  const world = useWorld();
  const top = mkdtempSync(join(tmpdir(), 'compose-'));
  const secrets = mkdtempSync(join(top, 'secrets-'));
  const image = new Image('Dockerfile', join(top, 'broker'));
  const simulator = new Image('Dockerfile', join(top, 'simulator'), 'simulator');
  const started: Contained[] = [];
  const text = readFileSync('docker-compose.yml', 'utf8');
  const { services } = parse(text) as Composition;
  let here: (given: string) => string;
  let ports: Record<string, string>;

  const run = (of: Image, { environment = {}, command }: Service, more = {}): Contained => {
    const env = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, here(value)]));
    const contained = of.run({ ...env, ...more }, command?.map(here));
    started.push(contained);
    return contained;
  };

  beforeAll(async () => {
    const built = { dropped: /^dist\/bench$/, sbom: '{}', moved: { 'simulator/dist': 'dist/simulator' } };
    image.layLinked({ ...built, dropped: /^dist\/(simulator|bench)$/ });
    simulator.layLinked(built);
    const names = ['8080', '8081', '8090', '9090'];
    ports = Object.fromEntries(
      await Promise.all(names.map(async (it) => [it, String(await freePort())] as const)),
    );
    here = (given) =>
      given
        .replace(/\b(8080|8081|8090|9090)\b/g, (port) => ports[port] ?? port)
        .replace(/^\/secrets/, secrets)
        .replace(/^\/compose/, resolve('compose'));
  });

  afterAll(async () => {
    for (const { child } of started) child.kill('SIGKILL');
    await Promise.all(started.map((it) => it.ended()));
    rmSync(top, { recursive: true, force: true });
  });

  it('opens ports on this machine alone', () => {
    const all = Object.values(services).flatMap((it) => it.ports ?? []);
    expect(all.length).toBeGreaterThan(0);
    expect(all.filter((it) => !it.startsWith('127.0.0.1:'))).toEqual([]);
  });

  it('makes its secrets once, where those who need them can read them', async () => {
    expect((await run(image, services.secrets).ended()).code).toBe(0);
    const made = SECRETS.map((name) => readFileSync(join(secrets, name), 'utf8'));
    expect(new Set(made).size).toBe(4);
    for (const name of SECRETS) expect(statSync(join(secrets, name)).mode & 0o777).toBe(0o444);
    expect(await run(image, services.secrets).ended()).toEqual({ code: 0, output: '' });
    expect(SECRETS.map((name) => readFileSync(join(secrets, name), 'utf8'))).toEqual(made);
    const readers = Object.entries(services).filter(([, it]) =>
      it.volumes?.some((volume) => volume.startsWith('secrets:')),
    );
    expect(readers.map(([name]) => name).sort()).toEqual(['broker', 'database', 'demo', 'secrets']);
  });

  it('comes from nothing to a token that can be pasted', async () => {
    const password = readFileSync(join(secrets, 'database-password'), 'utf8');
    const url = join(secrets, 'database-url');
    expect(readFileSync(url, 'utf8')).toBe(`postgres://broker:${password}@database:5432/broker`);
    // What the service `database` is in a container is the tests' own server here.
    rmSync(url);
    writeFileSync(url, world.databaseUrl);
    const listeners = { PORT: ports['8080'], PUBLIC_PORT: ports['8081'], OPS_PORT: ports['9090'] };
    const broker = run(image, services.broker, { ...listeners, HOST: '127.0.0.1' });
    const stand = run(simulator, services.simulator, { SIMULATOR_PORT: ports['8090'] });
    await eventually(() => {
      for (const it of [broker, stand])
        if (it.child.exitCode !== null) throw new Error(`it ended:\n${it.output()}`);
      return [broker, stand].every((it) => it.output().includes('listening'));
    });
    const demo = await run(image, services.demo).ended();
    expect(demo).toMatchObject({ code: 0 });
    const curl = /^ {2}(curl .*)$/m.exec(demo.output)?.[1] ?? '';
    const paste = async (command: string): Promise<string> =>
      (await promisify(execFile)('bash', ['-c', command.replace('docker compose exec -T broker ', '')]))
        .stdout;
    expect(curl).toContain('docker compose exec -T broker cat ');
    expect(JSON.parse(await paste(curl))).toMatchObject({ version: 1, provider: 'konnect', company_id: '1' });

    const key = 'demo-key';
    const install = `http://127.0.0.1:${ports['8081']}/fp/install?company_id=1&client_id=${key}`;
    expect(await paste(`curl -sSL -b '' -o /dev/null -w '%{http_code}' '${install}'`)).toBe('200');
    const fynd = curl.replace('/konnect/', '/fynd/');
    expect(JSON.parse(await paste(fynd))).toMatchObject({ version: 1, provider: 'fynd' });
    world.logs.push(...started.map((it) => it.output()));
  });
});
