import { Heap } from './heap.js';
import type { Ending } from './provider.js';

/** A call that is out. */
export interface Call {
  readonly connection: number;
  readonly replica: number;
  readonly begunAt: number;
  readonly ending: Ending;
  /** What the claim saw: that the provider is held to fewer calls than it may have, or has failed. */
  readonly pressed: boolean;
}

/** The calls that are out, by the time of their end. */
export class CallsOut {
  readonly #ends = new Heap();
  readonly #calls: (Call | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#ends.size;
  }

  get nextEnd(): number {
    return this.#ends.firstKey;
  }

  begin(call: Call): void {
    const place = this.#free.pop() ?? this.#calls.length;
    this.#calls[place] = call;
    this.#ends.push(call.begunAt + call.ending.tookS, place);
  }

  /** The one that ends first. */
  end(): Call {
    const place = this.#ends.pop();
    this.#free.push(place);
    return this.#calls[place] as Call;
  }
}
