import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { hashState, STATE_LIVES_S } from './consent-state.js';

const CONSUME = {
  text: `with forgotten as (delete from consumed_states where expires_at < broker_now())
         insert into consumed_states (state_hash, expires_at) values ($1, broker_now() + make_interval(secs => $2))
         on conflict do nothing returning 1`,
};

const IS_CONSUMED = { text: `select from consumed_states where state_hash = $1` };

/** Replicas' clocks may differ a little: a state is remembered for longer than it lives. */
const REMEMBERED_S = 2 * STATE_LIVES_S;

/** The only SQL on `consumed_states`: which states have come back. */
@Injectable()
export class ConsumedStateStore {
  constructor(private readonly database: Database) {}

  /** Whether it has come back before: to ask before there is room for what it is for. */
  async isConsumed(state: string): Promise<boolean> {
    return (await this.database.run(IS_CONSUMED, [hashState(state)])).length > 0;
  }

  /** True the first time that a state comes back, in whatever replica; false ever after. */
  async consume(state: string): Promise<boolean> {
    return (await this.database.run(CONSUME, [hashState(state), REMEMBERED_S])).length > 0;
  }
}
