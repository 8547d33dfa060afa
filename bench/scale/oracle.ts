import { Heap } from './heap.js';

/** What an oracle may do. Times are seconds. */
export interface Powers {
  readonly ratePerSecond: number;
  /** Whether it may ask now. Asked once for every slot, in order, and never before `goOn` comes to it. */
  readonly mayAsk: (at: number) => boolean;
}

/** Seconds in which it hands out what the rate allows; what was not needed can be had this much later. */
const SLOT_S = 0.1;
const SAVED_S = 0.1;

/**
 * How many tokens must be lost, whoever renews. A token can be saved from the time at which the calendar has it renewed
 * until it expires; each takes one call, and so many calls fit into each slot. Giving every slot to those that expire soonest,
 * and nothing to those that have, saves as many as any order can: the slots that one token can use are a row of slots without
 * gaps, and for such rows the greedy choice by the nearest end is a largest matching (Glover, 1967).
 *
 * What the engine lost beyond this could have been saved. That is counted and not named: which of two tokens is saved with
 * the last free slot is a matter of taste. This shares no code with the engine's pace, calendar or order, and is as
 * strong as can be: it serves a token up to one slot before its time, waits for no answer, is never held back by
 * what is in flight, and spends nothing on those that have expired.
 */
export class Oracle {
  readonly #ends = new Heap();
  readonly #begins = new Fifo();
  #slot = 0;
  #credit = 0;
  #lost = 0;

  constructor(private readonly powers: Powers) {}

  /** Tokens that no order could have saved. */
  get lost(): number {
    return this.#lost;
  }

  /** A token that expires at `end` can be renewed from `begin`. Must be told in order. */
  tell(begin: number, end: number): void {
    this.#begins.push(begin, end);
  }

  /** Hands out every slot that ends before this time; all that begins until then must have been told. */
  goOn(until: number): void {
    const { ratePerSecond, mayAsk } = this.powers;
    for (; (this.#slot + 1) * SLOT_S <= until; this.#slot += 1) {
      const at = this.#slot * SLOT_S;
      while (this.#begins.firstBegin < at + SLOT_S) this.#ends.push(this.#begins.shift(), 0);
      for (; this.#ends.firstKey <= at; this.#lost += 1) this.#ends.pop();
      const saved = Math.min(this.#credit, 1 + ratePerSecond * SAVED_S);
      this.#credit = mayAsk(at) ? saved + ratePerSecond * SLOT_S : 0;
      for (; this.#credit >= 1 && this.#ends.size > 0; this.#credit -= 1) this.#ends.pop();
    }
  }
}

/** Pairs of a begin and an end, the oldest first. */
class Fifo {
  #begins: number[] = [];
  #ends: number[] = [];
  #first = 0;

  get firstBegin(): number {
    return this.#begins[this.#first] ?? Infinity;
  }

  push(begin: number, end: number): void {
    this.#begins.push(begin);
    this.#ends.push(end);
  }

  /** The end of the first. */
  shift(): number {
    const end = this.#ends[this.#first] as number;
    this.#first += 1;
    if (this.#first > 100_000) {
      this.#begins = this.#begins.slice(this.#first);
      this.#ends = this.#ends.slice(this.#first);
      this.#first = 0;
    }
    return end;
  }
}
