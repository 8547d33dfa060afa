import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually, freePort } from './http.js';

/** What a clone has, as far as anything that the documents name needs it. `dist` is what was just built. */
const PARTS = [
  'client',
  'config',
  'dist',
  'helm',
  'migrations',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
];

/** Of programs that a newcomer has, and a test may lack, as much as the documents use. */
const PROGRAMS = {
  // The dependencies are linked, and what is built is there; everything else is npm's own doing.
  npm: `#!/usr/bin/env bash
if [ "$1" = ci ]; then exit 0; fi
PATH="\${PATH#*:}" exec npm "$@"
`,
  // The same library, over its own SQL.
  sqlite3: `#!/usr/bin/env bash
exec node --no-warnings -e 'const { DatabaseSync } = require("node:sqlite");
for (const row of new DatabaseSync(process.argv[1]).prepare(process.argv[2]).all()) console.log(Object.values(row).join("|"))' "$1" "$2"
`,
};

/** Shell functions that have a refused request fail, as nobody who reads the documents would wish to miss it. */
const SHELL = `set -euo pipefail
curl() { command curl --fail-with-body "$@"; }
`;

/** A folder like a fresh clone, in which somebody types what the documents say. */
export class FreshClone {
  readonly folder = mkdtempSync(join(tmpdir(), 'token-broker-clone-'));
  #ports: Readonly<Record<string, number>> = {};
  #started: ChildProcess | undefined;

  async prepare(): Promise<void> {
    for (const part of PARTS) cpSync(part, join(this.folder, part), { recursive: true });
    symlinkSync(resolve('node_modules'), join(this.folder, 'node_modules'));
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
    manifest.scripts['build'] = 'true';
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify(manifest));
    mkdirSync(join(this.folder, 'bin'));
    for (const [name, text] of Object.entries(PROGRAMS))
      writeFileSync(join(this.folder, 'bin', name), text, { mode: 0o755 });
    this.#ports = { 8080: await freePort(), 8081: await freePort(), 8090: await freePort() };
  }

  /** A text with the ports that this clone has: others may have the usual ones. */
  here(text: string): string {
    return text.replace(/\b(127\.0\.0\.1|token-broker):(8080|8081|8090)\b/g, (_, __, port: string) => {
      return `127.0.0.1:${this.#ports[port]}`;
    });
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Starts what runs until it is stopped, and waits for `sign` in what it prints. */
  async start(command: string, sign: RegExp, env: NodeJS.ProcessEnv = {}): Promise<void> {
    const [PORT, PUBLIC_PORT, SIMULATOR_PORT] = ['8080', '8081', '8090'].map((it) => String(this.#ports[it]));
    const child = this.#spawn(command, { PORT, PUBLIC_PORT, SIMULATOR_PORT, ...env });
    this.#started = child.process;
    await eventually(() => {
      if (child.process.exitCode !== null) throw new Error(child.output());
      return sign.test(child.output());
    });
  }

  /** Runs a script from top to bottom; throws with what it printed where anything in it fails. */
  async run(script: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
    const child = this.#spawn(`${SHELL}${script}`, env);
    await once(child.process, 'close');
    if (child.process.exitCode !== 0) throw new Error(child.output().slice(-4_000));
    return child.output();
  }

  async stop(): Promise<void> {
    if (this.#started?.exitCode === null && this.#started.pid !== undefined) {
      const ended = once(this.#started, 'close');
      // npm passes nothing on: the whole group hears it, as of a Ctrl-C.
      process.kill(-this.#started.pid, 'SIGINT');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  #spawn(script: string, env: NodeJS.ProcessEnv): { process: ChildProcess; output: () => string } {
    const offline = { npm_config_audit: 'false', npm_config_fund: 'false', npm_config_offline: 'true' };
    const { PATH = '', HOME = '' } = process.env;
    const own = resolve('node_modules/.bin');
    const child = spawn('bash', ['-c', script], {
      cwd: this.folder,
      env: { PATH: `${this.path('bin')}:${own}:${PATH}`, HOME, ...offline, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    return { process: child, output: () => output };
  }
}
