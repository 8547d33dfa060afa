import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { PROVIDER } from '../engine/surroundings.js';
import { RENEWALS_PER_SECOND, type Readable, type ReadBroker } from './readable.js';

/**
 * One after the other, as a calendar has them; as what is due is when it comes to that: two thirds of an hour are over, so that it
 * expires before what was renewed since. $3 of them a second.
 */
const MAKE_DUE = `update connections c
                  set renew_at = broker_now() + make_interval(secs => due.number / $3::float8),
                      expires_at = broker_now() + interval '20 minutes'
                  from unnest($2::text[]) with ordinality due (company_id, number)
                  where c.provider = $1 and c.company_id = due.company_id and c.location_id is null`;
/** Work that is left when it is over. */
const MARGIN_S = 1;
const LOOKS_EVERY_MS = 20;
const PATIENCE_MS = 30_000;

/** Renewals in a broker, for as long as something else is measured. */
export class RenewalsBeside {
  /** A second, from the first until the measurement was over; one for each. */
  readonly rates: number[] = [];
  #client: Client | undefined;
  #made = 0;
  /** How many were made due for what is going on. */
  #due = 0;
  #renewedBefore = 0;
  /** How many there were when there were any. */
  #first = { renewed: 0, at: 0 };

  constructor(
    private readonly reader: ReadBroker,
    private readonly readable: Readable,
  ) {}

  /** Resolves when they have begun. @param seconds for which there is to be work */
  async begin(seconds: number): Promise<void> {
    this.#due = Math.min(this.readable.count, Math.ceil((seconds + MARGIN_S) * RENEWALS_PER_SECOND));
    const due = Array.from({ length: this.#due }, (_, index) =>
      String(1 + ((this.#made + index) % this.readable.count)),
    );
    this.#made += due.length;
    this.#client ??= await open(this.readable.surroundings.databaseUrl);
    this.#renewedBefore = await this.#renewed();
    await this.#client.query(MAKE_DUE, [PROVIDER, due, RENEWALS_PER_SECOND]);
    this.#first = { renewed: await this.#until((renewed) => renewed > 0), at: performance.now() };
  }

  /** Resolves when none is left. */
  async end(): Promise<void> {
    const renewed = (await this.#renewed()) - this.#renewedBefore - this.#first.renewed;
    this.rates.push((renewed / (performance.now() - this.#first.at)) * 1_000);
    await this.#until((since) => since >= this.#due);
  }

  async stop(): Promise<void> {
    await this.#client?.end();
  }

  async #renewed(): Promise<number> {
    return (await this.reader.broker.vitals()).renewed;
  }

  /** Resolves to how many there are by then. */
  async #until(isDone: (renewed: number) => boolean): Promise<number> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const renewed = (await this.#renewed()) - this.#renewedBefore;
      if (isDone(renewed)) return renewed;
      if (performance.now() > until) throw new Error('the renewals beside the reads stand still');
      await sleep(LOOKS_EVERY_MS);
    }
  }
}

async function open(databaseUrl: string): Promise<Client> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  return client;
}
