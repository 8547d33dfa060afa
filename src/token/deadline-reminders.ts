import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { Database } from '../database/database.js';
import { Problem } from '../shared/problem.js';
import { DEADLINE_SQL, MOST_REMINDED } from './deadline.sql.js';

/** Nobody needs to know to the second what is days ahead. */
const LOOK_MS = 10_000;

/** Tells in time what nobody causes: that a token which nobody renews comes to its end, and that a secret is to be replaced. */
@Injectable()
export class DeadlineReminders {
  readonly #logger = new Logger('Reminders');
  #isFailing = false;
  #isLooking = false;

  constructor(private readonly database: Database) {}

  @Interval(LOOK_MS)
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      while ((await this.#tellDue()) === MOST_REMINDED);
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // Once for an outage, however long it lasts.
      if (!this.#isFailing) this.#logger.warn(`deadlines wait to be told: ${error.message}`);
      this.#isFailing = true;
    } finally {
      this.#isLooking = false;
    }
  }

  async #tellDue(): Promise<number> {
    const [row] = await this.database.run<{ reminded: number }>(DEADLINE_SQL.tellDue);
    return row?.reminded ?? 0;
  }
}
