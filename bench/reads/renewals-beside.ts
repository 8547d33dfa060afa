import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { PROVIDER } from '../engine/surroundings.js';
import { RENEWALS_PER_SECOND, type Readable, type ReadBroker } from './readable.js';

/** As what is due is when it comes to that: two thirds of an hour are over, so that it expires before what was renewed since. */
const MAKE_DUE = `update connections set renew_at = broker_now(), expires_at = broker_now() + interval '20 minutes'
                  where provider = $1 and company_id = any($2::text[]) and location_id is null`;
/** Work that is left when it is over. */
const MARGIN_S = 1;
const LOOKS_EVERY_MS = 20;
const PATIENCE_MS = 30_000;

/** Renewals in a broker, for as long as something else is measured. */
export class RenewalsBeside {
  /** A second, from when they were due until the measurement was over; one a round. */
  readonly rates: number[] = [];
  #client: Client | undefined;
  #made = 0;
  #begun = { renewed: 0, at: 0 };

  /** @param seconds for which there is to be work */
  constructor(
    private readonly reader: ReadBroker,
    private readonly readable: Readable,
    private readonly seconds: number,
  ) {}

  /** Resolves when they have begun. */
  async begin(): Promise<void> {
    const due = Array.from({ length: this.#due }, (_, index) =>
      String(1 + ((this.#made + index) % this.readable.count)),
    );
    this.#made += due.length;
    this.#client ??= await open(this.readable.surroundings.databaseUrl);
    this.#begun = { renewed: await this.#renewed(), at: performance.now() };
    await this.#client.query(MAKE_DUE, [PROVIDER, due]);
    await this.#until((renewed) => renewed > 0);
  }

  /** Resolves when none is left. */
  async end(): Promise<void> {
    const renewed = (await this.#renewed()) - this.#begun.renewed;
    this.rates.push((renewed / (performance.now() - this.#begun.at)) * 1_000);
    await this.#until((since) => since >= this.#due);
  }

  async stop(): Promise<void> {
    await this.#client?.end();
  }

  get #due(): number {
    return Math.min(this.readable.count, Math.ceil((this.seconds + MARGIN_S) * RENEWALS_PER_SECOND));
  }

  async #renewed(): Promise<number> {
    return (await this.reader.broker.vitals()).renewed;
  }

  async #until(isDone: (renewed: number) => boolean): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    while (!isDone((await this.#renewed()) - this.#begun.renewed)) {
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
