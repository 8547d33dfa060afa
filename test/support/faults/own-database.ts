import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { migrate } from '../../../src/database/migrate.js';
import { startPostgres, type EmbeddedPostgres } from '../../../src/development/embedded-postgres.js';
import { freePort } from '../http.js';
import type { TestDatabase } from '../postgres.js';

/** A PostgreSQL that a test has to itself, to stop it, kill it and start it again at the same address. */
export class OwnDatabase implements TestDatabase {
  #running: EmbeddedPostgres | undefined;
  #url = '';

  private constructor(
    readonly folder: string,
    private readonly port: number,
  ) {}

  /** One with the broker's tables, empty. */
  static async make(): Promise<OwnDatabase> {
    const made = new OwnDatabase(newFolder(), await freePort());
    await made.start();
    await migrate({ url: () => made.url, ca: null });
    return made;
  }

  /** Over a data folder that is there. */
  static async over(folder: string): Promise<OwnDatabase> {
    const made = new OwnDatabase(folder, await freePort());
    await made.start();
    return made;
  }

  get url(): string {
    return this.#url;
  }

  /** What it has written survives whatever happens to it: its commits wait for the disk. */
  async start(): Promise<void> {
    const binaries = process.env['TEST_POSTGRES_BINARIES'];
    this.#running = await startPostgres({
      dataDir: this.folder,
      port: this.port,
      maxConnections: 300,
      ...(binaries ? { binaries } : {}),
    });
    this.#url = this.#running.url;
  }

  /** In order: a fast shutdown. */
  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  /** kill -9: its next start begins with a recovery. */
  async crash(): Promise<void> {
    const [pid] = readFileSync(join(this.folder, 'postgres', 'cluster', 'postmaster.pid'), 'utf8').split(
      '\n',
    );
    process.kill(Number(pid), 'SIGKILL');
    while (isThere(Number(pid))) await sleep(10);
    await this.stop();
  }

  async drop(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'token-broker-test-'));
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
