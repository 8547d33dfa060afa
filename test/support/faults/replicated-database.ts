import { execFile } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { Cable } from '../cable.js';
import { eventually } from '../http.js';
import type { TestDatabase } from '../postgres.js';
import { newFolder, OwnDatabase } from './own-database.js';

/** A primary and its streaming standby, which can take over. */
export class ReplicatedDatabase implements TestDatabase {
  #leading: OwnDatabase;

  private constructor(
    private readonly primary: OwnDatabase,
    private readonly standby: OwnDatabase,
    private readonly stream: Cable,
  ) {
    this.#leading = primary;
  }

  static async make(): Promise<ReplicatedDatabase> {
    const primary = await OwnDatabase.make();
    const folder = newFolder();
    await primary.stop();
    await promisify(execFile)('cp', ['-a', join(primary.folder, 'postgres'), folder]);
    await primary.start();
    const stream = new Cable(new URL(primary.url));
    const { port, username, password } = new URL(await stream.open());
    const cluster = join(folder, 'postgres', 'cluster');
    const source = `host=127.0.0.1 port=${port} user=${username} password=${password}`;
    appendFileSync(join(cluster, 'postgresql.auto.conf'), `primary_conninfo = '${source}'\n`);
    writeFileSync(join(cluster, 'standby.signal'), '');
    const made = new ReplicatedDatabase(primary, await OwnDatabase.over(folder), stream);
    await made.#streams('async');
    return made;
  }

  /** Leads to whichever takes writes now. */
  get url(): string {
    return this.#leading.url;
  }

  /** From now on a commit is one when the standby has it, too. */
  async synchronize(): Promise<void> {
    await ask(this.primary, `alter system set synchronous_standby_names = '*'`);
    await ask(this.primary, 'select pg_reload_conf()');
    await this.#streams('sync');
  }

  /** What is committed from now on the standby does not hear of. */
  stopStreaming(): void {
    this.stream.cut();
  }

  /** The primary dies, and the standby takes its place. */
  async failOver(): Promise<void> {
    await this.primary.crash();
    await ask(this.standby, 'select pg_promote()');
    this.#leading = this.standby;
  }

  async drop(): Promise<void> {
    this.stream.close();
    await this.standby.drop();
    await this.primary.drop();
  }

  async #streams(how: 'async' | 'sync'): Promise<void> {
    const text = `select 1 from pg_stat_replication
                  where state = 'streaming' and sync_state = $1 and replay_lsn = pg_current_wal_lsn()`;
    await eventually(async () => (await ask(this.primary, text, [how])) > 0);
  }
}

/** Over a connection of its own; how many rows came. */
async function ask({ url }: OwnDatabase, text: string, values: unknown[] = []): Promise<number> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(text, values)).rowCount ?? 0;
  } finally {
    await client.end();
  }
}
