import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { resourceOf } from '../http/caller.js';
import type { Subject } from '../shared/ids.js';
import { TOKENS_IN_HAND_SQL, type TokenInHandRow } from './token-in-hand.js';

/** Of one statement: what many have to wait for is not to last. */
const MOST_AT_ONCE = 100;

interface Wanted {
  readonly subject: Subject;
  readonly resolve: (row: TokenInHandRow | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Reads the tokens in hand that this replica does not remember. Those that are asked for in the same turn of the event loop
 * share a statement: to send one, and to read its answer, costs more than the row that it is about.
 */
@Injectable()
export class TokenLookUps {
  #companies: Wanted[] = [];
  #locations: Wanted[] = [];

  constructor(private readonly database: Database) {}

  /** Undefined where there is no such connection. Throws Problem `store_unavailable`. */
  find(subject: Subject): Promise<TokenInHandRow | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#companies.length + this.#locations.length === 0) setImmediate(() => this.#run());
      const wanted = subject.locationId === null ? this.#companies : this.#locations;
      wanted.push({ subject, resolve, reject });
    });
  }

  #run(): void {
    const [companies, locations] = [this.#companies, this.#locations];
    [this.#companies, this.#locations] = [[], []];
    for (const some of partsOf(companies)) void this.#answer(some, false);
    for (const some of partsOf(locations)) void this.#answer(some, true);
  }

  async #answer(wanted: readonly Wanted[], areLocations: boolean): Promise<void> {
    try {
      const { ofCompanies, ofLocations } = TOKENS_IN_HAND_SQL;
      const rows = await this.database.run<TokenInHandRow>(areLocations ? ofLocations : ofCompanies, [
        JSON.stringify(
          wanted.map(({ subject: { provider, companyId, locationId } }) => ({
            provider,
            companyId,
            locationId,
          })),
        ),
      ]);
      const found = new Map(rows.map((row) => [resourceOf(row), row]));
      for (const { subject, resolve } of wanted) resolve(found.get(resourceOf(subject)));
    } catch (error) {
      for (const { reject } of wanted) reject(error);
    }
  }
}

function* partsOf(wanted: readonly Wanted[]): Iterable<readonly Wanted[]> {
  for (let from = 0; from < wanted.length; from += MOST_AT_ONCE)
    yield wanted.slice(from, from + MOST_AT_ONCE);
}
