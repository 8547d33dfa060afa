import { setTimeout as sleep } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Notifications } from '../database/notifications.js';
import { Problem } from '../shared/problem.js';
import type { SealedRows } from './key-census.js';
import { KeyRing } from './key-ring.js';
import { SealedWork } from './sealed-work.js';

/** Whoever hears nothing of the others finds out after so long at the most. Milliseconds. */
const LOOK_MS = 10_000;
/** Looks at which what is left over is counted where nobody has said that there is anything. */
const LEFT_OVER_EVERY = 6;
/** Rows at a time: opening and sealing them takes less than 1 ms, for which nobody is served. */
const MOST_AT_ONCE = 25;
/** Of its time, a replica rests so many times as long as it works: where the database is slow, it is left to others. */
const RESTS = 4;
/** Replicas begin somewhere among so many, so that they seldom take the same. */
const SPREAD = 500;

/**
 * Seals anew what older data keys have sealed, at every replica, a few rows at a time and no faster than it is told. There is
 * nothing to resume but to go on: what is left to be done is what the rows say. Nobody is told of a row that was sealed anew:
 * it holds the same token, which opens as well as it lies in somebody's memory.
 */
@Injectable()
export class Resealing implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Keys');
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #again = false;
  #looks = 0;
  /** What was locked, or did not open, is looked at again soon. */
  #isLeft = false;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'encryptionKeys' | 'keyRotationRate'>,
    private readonly ring: KeyRing,
    private readonly work: SealedWork,
    private readonly notifications: Notifications,
  ) {}

  onApplicationBootstrap(): void {
    const look = (): void => void this.look();
    this.notifications.onChange('keys', look);
    this.notifications.onReconnect(look);
    // A key-encryption key that was lacking may be there now.
    this.settings.encryptionKeys.onChange(look);
    look();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  @Interval(LOOK_MS)
  async tick(): Promise<void> {
    this.#looks += 1;
    await this.look(this.#isLeft || this.#looks % LEFT_OVER_EVERY === 0);
  }

  /** Looks which keys there are, and at what is left to be sealed by the newest. One look at a time. */
  async look(countAnyway = true): Promise<void> {
    const isStopped = this.#stop.signal.aborted;
    // What is running may take long, and a stop, too; a new key is used at once.
    if (isStopped || this.#running) await this.ring.refresh().catch(() => undefined);
    if (isStopped) return;
    if (this.#running) this.#again = true;
    return (this.#running ??= this.#look(countAnyway).finally(() => (this.#running = undefined)));
  }

  async #look(countAnyway: boolean): Promise<void> {
    try {
      const before = this.ring.newest('seal').id;
      await this.ring.refresh();
      this.work.tell();
      if (!this.ring.hasOlder || (this.ring.newest('seal').id === before && !countAnyway)) return;
      do {
        this.#again = false;
        while (!this.#stop.signal.aborted && (await this.#sealAll())) await this.ring.refresh();
      } while (this.#again);
    } catch (error) {
      // The next look goes on.
      if (!(error instanceof Problem)) this.#logger.error(`sealing anew stopped: ${messageOf(error)}`);
    }
  }

  /** True where it has moved something, so that there may be more. */
  async #sealAll(): Promise<boolean> {
    const newest = this.ring.newest('seal').id;
    const left = await this.work.left(newest);
    this.#isLeft = left.length > 0;
    let moved = 0;
    for (const rows of left) moved += await this.#sealLike(rows, newest);
    return moved > 0;
  }

  async #sealLike(like: SealedRows, newest: string): Promise<number> {
    const rate = this.settings.keyRotationRate;
    let moved = 0;
    let offset = Math.floor(Math.random() * Math.min(SPREAD, like.rows / 2));
    while (!this.#stop.signal.aborted && this.ring.newest('seal').id === newest) {
      const begunAt = performance.now();
      const picked = await this.work.pick(like, Math.min(MOST_AT_ONCE, rate), offset);
      const done = picked.length > 0 ? await this.work.reseal(like.table, picked) : 0;
      moved += done;
      // What is locked, or was changed meanwhile, is for the next round.
      if (done === 0 && offset === 0) return moved;
      if (done < MOST_AT_ONCE) offset = 0;
      const tookMs = performance.now() - begunAt;
      await this.#rest(Math.max((picked.length / rate) * 1_000 - tookMs, RESTS * tookMs));
    }
    return moved;
  }

  async #rest(ms: number): Promise<void> {
    if (ms <= 0) return;
    await sleep(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
