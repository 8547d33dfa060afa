import { Client } from 'pg';

/** The two tables of a drain, with rows alike: the broker's, and that of the bare loop. */
export type DrainTable = 'connections' | 'bare_connections';

/** Makes rows due, and tells by the database's clock how long it took until they were renewed. */
export class DrainTables {
  private constructor(private readonly client: Client) {}

  /** Once the broker's table is full. */
  static async open(databaseUrl: string): Promise<DrainTables> {
    const client = new Client({ connectionString: databaseUrl });
    // Told by the statement that runs, if any does.
    client.on('error', () => undefined);
    await client.connect();
    await client.query('create table bare_connections (like connections including all)');
    await client.query('insert into bare_connections select * from connections');
    return new DrainTables(client);
  }

  /** Makes this many due at once, and nothing else; what was known of the provider's pace is forgotten. */
  async makeDue(table: DrainTable, count: number): Promise<void> {
    await this.client.query('delete from provider_states');
    await this.client.query(
      `update ${table} set last_renewed_at = null,
         renew_at = now() + case when company_id::integer <= $1 then random() * interval '-5 minutes' else interval '1 day' end,
         expires_at = now() + random() * interval '10 minutes'`,
      [count],
    );
    await this.client.query(`vacuum analyze ${table}`);
    await this.client.query('checkpoint');
  }

  /** Renewals a second, between the first and the last. Throws where not all are renewed that were due. */
  async rateOf(table: DrainTable, count: number): Promise<{ perSecond: number; seconds: number }> {
    const { rows } = await this.client.query<{ renewed: number; seconds: number }>(
      `select count(*)::integer as renewed,
         extract(epoch from max(last_renewed_at) - min(last_renewed_at))::double precision as seconds
       from ${table} where last_renewed_at is not null`,
    );
    const { renewed = 0, seconds = 0 } = rows[0] ?? {};
    if (renewed !== count) throw new Error(`${renewed} rows of ${table} are renewed, not ${count}`);
    return { perSecond: (count - 1) / seconds, seconds };
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}
