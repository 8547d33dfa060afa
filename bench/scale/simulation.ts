import type { Random } from '#broker/token/calendar.js';
import {
  afterFailing,
  afterRateLimit,
  afterTaking,
  afterWorking,
  bucketsOf,
  FRESH_PACE,
  isProbed,
  roomFor,
  type Pace,
} from '#broker/token/pace.js';
import { CallsOut, type Call } from './calls.js';
import { DueQueue } from './due-queue.js';
import { Fleet } from './fleet.js';
import { Gauge, type Minute } from './gauge.js';
import { Heap } from './heap.js';
import { SimulatedProvider } from './provider.js';
import type { Scenario } from './scenario.js';

/** Seconds between two looks of a replica at what is due, where nothing else makes it look. */
const TICK_S = 1;
const MINUTE_S = 60;
/** Free places are filled once they are this part of those in use, as the schedule has it. */
const SHARE_TO_CLAIM = 4;

/** A process with a schedule. */
interface Replica {
  running: number;
  nextTick: number;
  /** The bucket is full again. */
  nextFull: number;
}

/**
 * The schedule over a simulated day: the engine's own calendar, pace, decisions and order of claims, on a clock that jumps
 * from event to event. What the engine keeps in PostgreSQL is kept in memory, and taken without a moment's delay.
 */
export class Simulation {
  readonly gauge: Gauge;
  readonly #fleet: Fleet;
  readonly #provider: SimulatedProvider;
  readonly #due: DueQueue;
  readonly #calls = new CallsOut();
  /** When each connection that is neither due nor being renewed is to be. */
  readonly #calendar = new Heap();
  /** Connections whose next time is that of the calendar, and not of a backoff. */
  readonly #isFresh: Uint8Array;
  readonly #replicas: Replica[];
  #pace: Pace = FRESH_PACE;
  #lastFailed = -1;
  #lost = 0;
  readonly #noticedAt: number[] = [];

  /**
   * @param comesDue is told, in order, of every token of which the calendar's time has come, those of the poisoned company
   *   apart: when that was, when the schedule saw it, and when the token expires
   */
  constructor(
    private readonly scenario: Scenario,
    private readonly random: Random,
    private readonly comesDue: (at: number, seenAt: number, expiresAt: number) => void,
  ) {
    const { connections, ratePerSecond, replicas } = scenario;
    this.gauge = new Gauge(2 * ratePerSecond + 1_000);
    this.#due = new DueQueue(connections);
    this.#fleet = new Fleet(scenario, random);
    this.#provider = new SimulatedProvider(scenario, random);
    this.#isFresh = new Uint8Array(connections).fill(1);
    this.#replicas = Array.from({ length: replicas }, (_, index) => ({
      running: 0,
      nextTick: (index / replicas) * TICK_S,
      nextFull: Infinity,
    }));
    for (let id = 0; id < connections; id += 1) {
      this.#calendar.push(this.#fleet.begin(id), id);
    }
  }

  /** Tokens that expired before another came, those of the poisoned company apart. */
  get lost(): number {
    return this.#lost;
  }

  /** When it was seen that each outage was over, as far as that was seen: the begin of the first call that worked. */
  get noticedAt(): readonly number[] {
    return this.#noticedAt;
  }

  /** Runs to the end, and tells every minute as it passes. */
  *run(): Generator<Minute> {
    const { lastsS } = this.scenario;
    for (let minute = MINUTE_S; minute <= lastsS; minute += MINUTE_S) {
      this.#runUntil(minute);
      this.#readCalendar(minute);
      yield this.gauge.endMinute(minute, this.#due.size, this.#fleet.countExpired(minute));
    }
    this.#lost += this.#fleet.countExpired(lastsS);
  }

  #runUntil(end: number): void {
    for (;;) {
      const next = this.#replicas.reduce((first, replica) =>
        wakesAt(replica) < wakesAt(first) ? replica : first,
      );
      const now = Math.min(this.#calls.nextEnd, wakesAt(next));
      if (now >= end) return;
      if (this.#calls.nextEnd <= now) {
        this.#end(this.#calls.end(), now);
      } else {
        if (next.nextTick <= now) next.nextTick += TICK_S;
        this.#look(this.#replicas.indexOf(next), now);
      }
    }
  }

  #notice(begunAt: number): void {
    const outage = this.scenario.outages[this.#noticedAt.length];
    if (outage && begunAt >= outage.to) this.#noticedAt.push(begunAt);
  }

  /** Whose time has come is due from now on. */
  #readCalendar(now: number): void {
    while (this.#calendar.firstKey <= now) {
      const at = this.#calendar.firstKey;
      const id = this.#calendar.pop();
      const expiresAt = this.#fleet.expiresAt(id);
      if (this.#isFresh[id] === 1 && id >= this.scenario.poisoned) this.comesDue(at, now, expiresAt);
      this.#isFresh[id] = 0;
      this.#due.add(id, expiresAt, at, now);
    }
  }

  /** As the schedule's look: claims what there is room for, and comes back when there may be more. */
  #look(index: number, now: number): void {
    const replica = this.#replicas[index] as Replica;
    const { concurrency } = this.scenario;
    const slots = concurrency - replica.running;
    if (slots < Math.max(1, Math.min(concurrency, replica.running) / SHARE_TO_CLAIM)) return;
    replica.nextFull = Infinity;
    this.#readCalendar(now);
    if (this.#due.size === 0) return;

    const room = roomFor(
      this.#pace,
      this.scenario,
      'calendar',
      { renewals: this.#calls.size, exchanges: 0 },
      now,
    );
    const claimed = this.#claim(index, Math.min(slots, room.calls), now);
    if (claimed === slots || this.#pace.closedUntil > now) return;
    const { depth, perSecond } = bucketsOf(this.scenario).ordinary;
    const waitS = claimed > 0 ? depth / perSecond : Math.max(0.001, room.waitS);
    if (waitS < TICK_S) replica.nextFull = now + waitS;
  }

  #claim(index: number, most: number, now: number): number {
    const replica = this.#replicas[index] as Replica;
    const pressed = this.#pace.window < this.scenario.concurrency || this.#pace.failures > 0;
    let claimed = 0;
    for (; claimed < most; claimed += 1) {
      const connection = isProbed(this.#pace) ? this.#due.takeAny(this.random) : this.#due.takeFirst(now);
      if (connection === undefined) break;
      const ending = this.#provider.ask(connection, now);
      this.#calls.begin({ connection, replica: index, begunAt: now, ending, pressed });
      this.gauge.call(now);
    }
    replica.running += claimed;
    if (claimed > 0) this.#pace = afterTaking(this.#pace, this.scenario, 'calendar', claimed, now);
    return claimed;
  }

  #end({ connection, replica, begunAt, ending, pressed }: Call, now: number): void {
    (this.#replicas[replica] as Replica).running -= 1;
    const { failure } = ending;
    if (!failure) {
      if (this.#fleet.expiresAt(connection) <= now && connection >= this.scenario.poisoned) this.#lost += 1;
      this.#isFresh[connection] = 1;
      this.#notice(begunAt);
      this.#calendar.push(this.#fleet.issue(connection, begunAt), connection);
      if (pressed) this.#pace = afterWorking(this.#pace, this.scenario, begunAt, now);
      if (pressed) this.#lastFailed = -1;
    } else {
      this.#calendar.push(this.#fleet.fail(connection, failure, now), connection);
      if (failure.code === 'rate_limited') {
        const retryAfterS = failure.kind === 'unavailable' ? failure.retryAfterSeconds : null;
        this.#pace = afterRateLimit(this.#pace, retryAfterS, now);
      } else if (connection !== this.#lastFailed) {
        const before = this.#pace;
        this.#pace = afterFailing(before, begunAt, now, this.random());
        if (this.#pace !== before) this.#lastFailed = connection;
      }
    }
    this.#look(replica, now);
  }
}

function wakesAt({ nextTick, nextFull }: Replica): number {
  return Math.min(nextTick, nextFull);
}
