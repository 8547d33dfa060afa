import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { EXCHANGE_HOLDER } from './pace.sql.js';

/** What calls are counted for: renewals, and consents and credentials apart from them. */
export type Counted = 'renewals' | 'exchanges';

/** A call that this process has begun; given back when it has ended. */
export interface BegunCalls {
  readonly provider: string;
  readonly counted: Counted;
  readonly holder: string;
}

/** What this process tells the others of its calls of one kind to one provider. */
interface Count {
  /** Names the count; a new one begins where it is unknown what was counted. */
  holder: string;
  /** Calls under this name that have ended. */
  ended: number;
  /** How many of those the others know of. */
  told: number;
}

/** Nothing under a name that is older than these is still out. */
const MOST_DOUBTED = 50;

/**
 * How many calls of this process are over, which is what the replicas need to know of each other: those that have begun
 * stand in the provider's row already. And whoever waits here for one to end.
 */
@Injectable()
export class CallsInFlight {
  readonly #counts = new Map<string, Count>();
  /** By name, those that are not used any more; the newest. */
  readonly #doubted = new Map<string, Count & { provider: string }>();
  readonly #waiting = new Map<string, (() => void)[]>();

  /** What a statement that takes room is to tell. */
  read(provider: string, counted: Counted): Readonly<Count> {
    return { ...this.#count(provider, counted) };
  }

  /** This much was told to the others. */
  told({ provider, counted, holder }: BegunCalls, ended: number): void {
    const count = this.#count(provider, counted);
    if (count.holder === holder) count.told = Math.max(count.told, ended);
  }

  /** A call is over; one of those who wait here for a place is woken. */
  end({ provider, counted, holder }: BegunCalls): void {
    const count = this.#count(provider, counted);
    const its = count.holder === holder ? count : this.#doubted.get(holder);
    if (its) its.ended += 1;
    this.#waiting.get(provider)?.shift()?.();
  }

  /**
   * A statement was lost, and nobody knows whether it took room: what it took under this name ends with its time. What else
   * was counted under it is still told when it ends.
   */
  doubt(provider: string, counted: Counted): void {
    const key = `${counted} ${provider}`;
    const count = this.#counts.get(key);
    if (count) {
      this.#doubted.set(count.holder, { ...count, provider });
      if (this.#doubted.size > MOST_DOUBTED) this.#doubted.delete([...this.#doubted.keys()][0] ?? '');
    }
    this.#counts.delete(key);
  }

  /** Counts under names that are not used any more, of which something ended since it was last told. */
  takeUntoldDoubted(provider: string): Readonly<Count>[] {
    const untold = [...this.#doubted.values()].filter(
      (count) => count.provider === provider && count.told < count.ended,
    );
    for (const count of untold) count.told = count.ended;
    return untold;
  }

  /** Resolves when a call of this process has ended, and after `seconds` at the latest. */
  async nextEnd(provider: string, seconds: number): Promise<void> {
    const waiting = this.#waiting.get(provider) ?? [];
    this.#waiting.set(provider, waiting);
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        const place = waiting.indexOf(wake);
        if (place >= 0) waiting.splice(place, 1);
        resolve();
      }, seconds * 1_000);
      waiting.push(wake);
    });
  }

  #count(provider: string, counted: Counted): Count {
    const key = `${counted} ${provider}`;
    let count = this.#counts.get(key);
    if (!count) {
      const holder = (counted === 'exchanges' ? EXCHANGE_HOLDER : '') + randomUUID();
      this.#counts.set(key, (count = { holder, ended: 0, told: 0 }));
    }
    return count;
  }
}
