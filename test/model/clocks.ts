import type { DataSource } from 'typeorm';
import { Clock } from '../../src/shared/clock.js';

/** A clock that stands still unless it is told how far to go. */
export class StandingClock extends Clock {
  #ms = Date.parse('2030-01-01T00:00:00Z');

  override nowMs(): number {
    return this.#ms;
  }

  override monotonic(): number {
    return this.#ms;
  }

  go(seconds: number): void {
    this.#ms += seconds * 1_000;
  }
}

/** The processes' clock and the database's, which stand still together: what happens in between takes no time at all. */
export class Clocks {
  readonly here = new StandingClock();
  /** When the two last went apart, in milliseconds here: what was under way then can keep no promise about time. */
  apartAt = -Infinity;

  constructor(private readonly dataSource: DataSource) {}

  async install(): Promise<void> {
    await this.dataSource.query('create table model_clock (at timestamptz not null)');
    await this.dataSource.query('insert into model_clock values ($1)', [this.here.now()]);
    // Reading a row is cheaper than a new function at each step, for which every plan would be made again.
    await this.dataSource.query(
      'create or replace function broker_now() returns timestamptz language sql stable parallel safe as $$ select at from model_clock $$',
    );
  }

  async go(seconds: number): Promise<void> {
    this.here.go(seconds);
    await this.#move(seconds);
  }

  /** Only the database's: a failover to a machine whose clock is another. */
  async goThere(seconds: number): Promise<void> {
    this.apartAt = this.here.monotonic();
    await this.#move(seconds);
  }

  async #move(seconds: number): Promise<void> {
    await this.dataSource.query('update model_clock set at = at + make_interval(secs => $1)', [seconds]);
  }
}
