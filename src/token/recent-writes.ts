import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Notifications } from '../database/notifications.js';
import { Clock } from '../shared/clock.js';
import { outOfPublicLane } from '../shared/lane.js';
import { Problem } from '../shared/problem.js';
import { Metrics } from '../telemetry/metrics.js';
import { Vault } from '../vault/vault.js';
import { columns } from './connection-row.sql.js';
import type { Connection } from './connection.js';

/** Something that was written to a connection, the database said so, and nobody else may know of it. */
export interface RecentWrite {
  readonly id: string;
  /** Whether the row, as it is now, knows of it, even where it was sealed anew since; undefined: there is no row. */
  isThere(row: Connection | undefined, vault: Pick<Vault, 'holdSame'>): boolean;
  /** Writes it again, under the fence, this many seconds after the first time. */
  again(sinceS: number): Promise<unknown>;
}

/** What a standby may lag behind, in seconds. */
const REMEMBERED_S = 60;
/** Beyond this many, the oldest are forgotten: about 30 MB. */
const MOST = 20_000;
/** Others write again what they know first, too; what builds upon that is there a moment later. Milliseconds. */
const ROUNDS_MS = [0, 2_000, 10_000];
const CHUNK = 1_000;
/** How long the other replicas have, from when this one has written again what it knows. */
const OTHERS_NEED_MS = 2_500;
/** As long as a caller waits. */
const CERTAIN_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 100;

const FIND = { text: `select ${columns('c')} from connections c where c.id = any($1::uuid[])` };

/**
 * A failover may forget the last commits, where the standby was behind: a refresh token that was spent would come back. So
 * each replica remembers what it has written, looks whether it is there each time that the database comes back, and
 * writes it again, in order, where it is not.
 */
@Injectable()
export class RecentWrites implements OnApplicationBootstrap {
  readonly #logger = new Logger('Failover');
  readonly #writes: { readonly at: number; readonly write: RecentWrite }[] = [];
  #first = 0;
  /** Monotonic milliseconds. */
  #certainAt = -Infinity;
  /** How often it has become uncertain. */
  #doubts = 0;
  /** A look in rounds, and whether another is to follow; `pause` ends the wait for its next round. */
  #looking: { again: boolean; pause: AbortController } | undefined;
  #checking = Promise.resolve();

  constructor(
    private readonly database: Database,
    private readonly notifications: Notifications,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    private readonly vault: Vault,
  ) {}

  onApplicationBootstrap(): void {
    const doubt = (): void => this.#doubt();
    const look = (): void => void this.#lookInRounds();
    this.database.onCut(doubt);
    this.notifications.onLost(doubt);
    this.database.onReturn(look);
    this.notifications.onReconnect(look);
  }

  /** The start had to wait for the database. One that found it there is no sign of a failover, and holds nobody up. */
  wasAway(): void {
    this.#doubt();
    void this.#lookInRounds();
  }

  /**
   * Whether what stands in the database is what was last written, as far as can be told: not between the loss of a connection
   * and the time that all replicas have had to write again what a failover forgot. A refresh token that is read meanwhile may
   * have been spent.
   */
  isCertain(): boolean {
    if (this.clock.monotonic() >= this.#certainAt) return true;
    // Nobody else may ask the database for anything meanwhile, and so find out that it is back.
    void outOfPublicLane(() => this.#lookInRounds());
    return false;
  }

  /** Resolves to true when that is certain, to false where it is not in time. */
  async certain(): Promise<boolean> {
    const until = this.clock.monotonic() + CERTAIN_WITHIN_MS;
    while (!this.isCertain()) {
      if (this.clock.monotonic() >= until) return false;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
    return true;
  }

  remember(write: RecentWrite): void {
    this.#writes.push({ at: this.clock.monotonic(), write });
    this.#forgetOld();
  }

  /** Looks whether all that was written lately is there, and writes again what is not. Resolves to how much that was. */
  async check(): Promise<number> {
    let again = 0;
    const run = this.#checking.then(async () => (again = await this.#check()));
    this.#checking = run.then(
      () => undefined,
      () => undefined,
    );
    await run;
    return again;
  }

  #doubt(): void {
    this.#certainAt = Infinity;
    this.#doubts += 1;
  }

  /** One after the other: a database that comes and goes would otherwise be asked more the worse it is. */
  async #lookInRounds(): Promise<void> {
    if (this.#looking) {
      // What is uncertain is not left so for the pause between two rounds.
      if (this.#certainAt === Infinity) this.#looking.pause.abort();
      this.#looking.again = true;
      return;
    }
    const looking = { again: false, pause: new AbortController() };
    this.#looking = looking;
    try {
      await this.#look(looking.pause.signal);
    } finally {
      this.#looking = undefined;
    }
    if (looking.again) await this.#lookInRounds();
  }

  async #look(cut: AbortSignal): Promise<void> {
    for (const ms of ROUNDS_MS) {
      await sleep(ms, undefined, { ref: false, signal: cut }).catch(() => undefined);
      const doubts = this.#doubts;
      try {
        await this.check();
        // The others need as long as this one at most, and a second to find out.
        if (this.#certainAt === Infinity && doubts === this.#doubts)
          this.#certainAt = this.clock.monotonic() + OTHERS_NEED_MS;
      } catch (error) {
        // It is away again; that it is back will be told again.
        if (error instanceof Problem) {
          await sleep(LOOK_AGAIN_MS, undefined, { ref: false });
          return;
        }
        this.#logger.error(`what was written lately could not be checked: ${messageOf(error)}`);
      }
    }
  }

  async #check(): Promise<number> {
    // Also where nothing is remembered: that it is back is what is to be found out.
    await this.database.run({ text: 'select 1' });
    this.#forgetOld();
    const writes = this.#writes.slice(this.#first);
    let again = 0;
    for (let from = 0; from < writes.length; from += CHUNK) {
      const chunk = writes.slice(from, from + CHUNK);
      const rows = await this.database.run<Connection>(FIND, [
        [...new Set(chunk.map(({ write }) => write.id))],
      ]);
      await this.vault.know(...rows.map(({ sealedGrant }) => sealedGrant));
      const found = new Map(rows.map((row) => [row.id, row]));
      for (const { at, write } of chunk) {
        // One that was just written again has changed the row for those that come after it.
        if (write.isThere(found.get(write.id), this.vault)) continue;
        await write.again((this.clock.monotonic() - at) / 1_000);
        const [now] = await this.database.run<Connection>(FIND, [[write.id]]);
        if (now) found.set(now.id, now);
        if (write.isThere(now, this.vault)) again += 1;
        else this.#logger.error(`${write.id}: a write was forgotten and does not fit any more`);
      }
    }
    if (again > 0) {
      this.metrics.writesRepeated(again);
      this.#logger.warn(`the database had forgotten ${again} of the last writes; they are written again`);
    }
    return again;
  }

  #forgetOld(): void {
    const since = this.clock.monotonic() - REMEMBERED_S * 1_000;
    const writes = this.#writes;
    while (this.#first < writes.length && (writes[this.#first]?.at ?? 0) < since) this.#first += 1;
    this.#first = Math.max(this.#first, writes.length - MOST);
    // In steps, since taking one from the front of a long array at every write would be slow.
    if (this.#first > CHUNK) {
      writes.splice(0, this.#first);
      this.#first = 0;
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
