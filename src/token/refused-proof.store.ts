import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Problem } from '../shared/problem.js';

/** Refusals within an hour that a caller may earn; then it has to wait, so that nobody guesses through the broker. */
const MOST_REFUSALS = 5;

const RECENT = {
  text: `select count(*)::int as refusals,
                ceil(extract(epoch from min(refused_at) + interval '1 hour' - broker_now()))::int as "waitS"
         from refused_proofs where caller = $1 and refused_at > broker_now() - interval '1 hour'`,
};
const ADD = {
  text: `with forgotten as (delete from refused_proofs where refused_at <= broker_now() - interval '1 hour')
         insert into refused_proofs (caller) values ($1)`,
};

/** The only SQL on `refused_proofs`. */
@Injectable()
export class RefusedProofStore {
  constructor(private readonly database: Database) {}

  /** Throws Problem `rate_limited` where the caller has been refused too often within the hour. */
  async admit(caller: string): Promise<void> {
    const [recent] = await this.database.run<{ refusals: number; waitS: number }>(RECENT, [caller]);
    if (!recent || recent.refusals < MOST_REFUSALS) return;
    throw new Problem('rate_limited', 'Too many credentials of this caller were refused within an hour.', {
      retry_after: Math.max(1, recent.waitS),
    });
  }

  async add(caller: string): Promise<void> {
    await this.database.run(ADD, [caller]);
  }
}
