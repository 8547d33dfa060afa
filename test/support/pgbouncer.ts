import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chmodSync, chownSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { accountFor, launchesFor } from '../../src/development/postgres-launch.js';
import { eventually, freePort } from './http.js';

/** PgBouncer in transaction mode before the PostgreSQL of the tests, with nothing else set than what it needs to run. */
export class PgBouncer {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    private readonly port: number,
  ) {}

  /** @param poolSize connections to PostgreSQL that all its clients share */
  static async start(databaseUrl: string, poolSize: number): Promise<PgBouncer> {
    const program = findProgram();
    const server = new URL(databaseUrl);
    const folder = mkdtempSync(join(tmpdir(), 'token-broker-pgbouncer-'));
    const port = await freePort();
    const file = join(folder, 'pgbouncer.ini');
    const way = `host=${server.hostname} port=${server.port} user=${server.username} password=${server.password}`;
    const lines = [
      '[databases]',
      `* = ${way}`,
      '[pgbouncer]',
      'pool_mode = transaction',
      `default_pool_size = ${poolSize}`,
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = any',
    ];
    writeFileSync(file, lines.join('\n'), { mode: 0o600 });
    const account = accountFor(join(folder, 'nobody-owns-this'));
    if (account) {
      chownSync(file, account.uid, account.gid);
      chmodSync(folder, 0o711);
    }
    const [launch] = launchesFor(account, [folder]);
    if (!launch) throw new Error('there is no way to start a program');
    const child = spawn(...launch.command(program, [file]), { ...launch.identity, stdio: 'pipe' });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await eventually(() => {
      if (child.exitCode !== null) throw new Error(`PgBouncer ended:\n${said}`);
      return said.includes('process up');
    });
    return new PgBouncer(child, folder, port);
  }

  /** The same database, through it. */
  leadsTo(databaseUrl: string): string {
    const url = new URL(databaseUrl);
    url.host = `127.0.0.1:${this.port}`;
    return url.href;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function findProgram(): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  const found = folders.map((folder) => join(folder, 'pgbouncer')).find(isProgram);
  if (!found)
    throw new Error('There is no pgbouncer: install it (Debian, Ubuntu: apt-get install pgbouncer).');
  return found;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
