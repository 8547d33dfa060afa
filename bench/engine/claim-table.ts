import { Client } from 'pg';
import type { ClaimedConnection } from '#broker/token/connection.js';
import { Claimant } from './claimant.js';
import { CLAIM_SQL } from './claim.sql.js';
import { Insides } from './insides.js';
import type { Stage } from './stage.js';
import { PROVIDER } from './surroundings.js';

const CHUNK = 50_000;
/** Nothing but the calendar is to hold a claim back. */
const CAPS = { ratePerSecond: 100_000, concurrency: 1_000 };

/** A database full of connections that were never opened, to claim from. */
export class ClaimTable {
  readonly #claimant: Claimant;
  #rows = 0;
  #isBacklog = false;
  #picked = '';
  #claimed: readonly ClaimedConnection[] = [];

  private constructor(
    private readonly insides: Insides,
    /** Without the time limit of the broker's statements. */
    private readonly client: Client,
  ) {
    this.#claimant = new Claimant(insides);
  }

  static async open({ folder, simulatorUrl, database }: Stage, name: string): Promise<ClaimTable> {
    const databaseUrl = await database(name);
    const client = new Client({ connectionString: databaseUrl });
    // Told by the statement that runs, if any does.
    client.on('error', () => undefined);
    await client.connect();
    return new ClaimTable(await Insides.open({ folder, databaseUrl, simulatorUrl, caps: CAPS }), client);
  }

  async fill(rows: number, tell: (done: number) => void): Promise<void> {
    for (; this.#rows < rows; tell(this.#rows)) {
      const until = Math.min(rows, this.#rows + CHUNK);
      await this.client.query(CLAIM_SQL.fill.text, [PROVIDER, this.#rows + 1, until]);
      this.#rows = until;
    }
    await this.client.query(CLAIM_SQL.wideOpen.text, [PROVIDER, CAPS.concurrency]);
    await this.#settle();
  }

  /** As after an outage: everything is due, half of it has expired. */
  async makeAllDue(): Promise<void> {
    this.#isBacklog = true;
    await this.#change(CLAIM_SQL.makeAllDue);
  }

  /** Some that lie anywhere in the table become due. */
  async makeSomeDue(count: number): Promise<void> {
    const companies = new Set<string>();
    while (companies.size < Math.min(count, this.#rows)) companies.add(this.#anyCompany());
    await this.client.query(CLAIM_SQL.makeSomeDue.text, [PROVIDER, [...companies]]);
  }

  /** As the schedule claims; how many it got. */
  async claimDue(limit: number): Promise<number> {
    this.#claimed = await this.#claimant.claimDue(limit);
    return this.#claimed.length;
  }

  /** Any one, for a claim of its own. */
  async pickOne(): Promise<void> {
    const { rows } = await this.client.query<{ id: string }>(CLAIM_SQL.find.text, [
      PROVIDER,
      this.#anyCompany(),
    ]);
    this.#picked = rows[0]?.id ?? '';
  }

  /** As somebody claims who waits for the picked one; how many it got. */
  async claimPicked(): Promise<number> {
    this.#claimed = await this.#claimant.claimOne(this.#picked);
    return this.#claimed.length;
  }

  /** As a renewal leaves them: no lease, a new end, and at the back of the queue. A backlog stays as long. */
  async giveBack(): Promise<void> {
    if (this.#claimed.length === 0) return;
    await this.client.query(CLAIM_SQL.giveBack.text, [this.#claimed.map(({ id }) => id), this.#isBacklog]);
    this.#claimed = [];
  }

  async close(): Promise<void> {
    await this.client.end();
    await this.insides.close();
  }

  #anyCompany(): string {
    return String(1 + Math.floor(Math.random() * this.#rows));
  }

  async #change(statement: { readonly text: string }): Promise<void> {
    for (let done = 0; done < this.#rows; done += CHUNK) {
      await this.client.query(statement.text, [done + 1, done + CHUNK]);
    }
    await this.#settle();
  }

  async #settle(): Promise<void> {
    await this.client.query('vacuum analyze connections');
  }
}
