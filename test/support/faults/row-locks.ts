import { Client } from 'pg';
import { eventually } from '../http.js';
import type { World } from '../world.js';

/** Locks on rows of connections, as another transaction may hold them: who wants to change these rows waits. */
export class RowLocks {
  private constructor(
    private readonly world: World,
    private readonly client: Client,
  ) {}

  static async take(world: World, ids: readonly string[]): Promise<RowLocks> {
    const client = new Client({ connectionString: world.databaseUrl });
    client.on('error', () => undefined);
    await client.connect();
    await client.query('begin');
    await client.query('select 1 from connections where id = any($1::uuid[]) for update', [ids]);
    return new RowLocks(world, client);
  }

  /** Resolves once so many statements wait for a lock. */
  async waitedForBy(count: number): Promise<void> {
    await eventually(async () => (await this.#waiting()).length >= count);
  }

  /**
   * Ends the connections of those that wait, as they would if their process was gone from another machine: what they had
   * sent is not carried out once the locks go.
   */
  async endWaiting(): Promise<void> {
    const pids = await this.#waiting();
    await this.world.sql('select pg_terminate_backend(pid) from unnest($1::integer[]) as pid', [pids]);
    await this.waitedForByNobody();
  }

  /** Resolves once none does any more. */
  async waitedForByNobody(): Promise<void> {
    await eventually(async () => (await this.#waiting()).length === 0);
  }

  async release(): Promise<void> {
    await this.client.query('rollback');
    await this.client.end();
  }

  async #waiting(): Promise<number[]> {
    const rows = await this.world.sql<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rows.map(({ pid }) => pid);
  }
}
