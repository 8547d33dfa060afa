import type { Cell, Group } from './cells.js';
import { startCanned, startLeast, startSealed } from './bare-contenders.js';
import { type Contender, fetchAnswer } from './contender.js';
import { type Readable, startColdBroker, startReadBroker } from './readable.js';
import { RenewalsBeside } from './renewals-beside.js';

/** What reads are compared in. */
export interface Databases {
  readonly small: Readable;
  /** As many, for cold reads: one broker alone renews what is due beside the warm ones. */
  readonly smallCold: Readable;
  readonly large: Readable;
}

/** All that take part, each in a process of its own. */
export class Contenders {
  readonly #started: Promise<Contender>[] = [];
  renewals: RenewalsBeside | undefined;

  /**
   * Starts them, and tells what is to be measured of them.
   *
   * @param nodeOptions of the broker that most is asked of, for a profile
   */
  async start({ small, smallCold, large }: Databases, nodeOptions: readonly string[]): Promise<Group[]> {
    const [warm, warmLarge, cold, coldSmall, coldLarge] = await Promise.all([
      this.#keep(startReadBroker(small, nodeOptions)),
      this.#keep(startReadBroker(large)),
      this.#keep(startColdBroker(large)),
      this.#keep(startColdBroker(smallCold)),
      this.#keep(startColdBroker(large)),
    ]);
    const [example, coldExample] = [await fetchAnswer(warm), await fetchAnswer(cold)];
    const [http, fastify, nest, least, sealed] = await Promise.all([
      this.#keep(startCanned('http', example)),
      this.#keep(startCanned('fastify', example)),
      this.#keep(startCanned('nest', example)),
      this.#keep(startLeast(small, example)),
      this.#keep(startSealed(large, coldExample)),
    ]);
    this.renewals = new RenewalsBeside(warm, small);

    const uniform = { order: 'uniform', count: small.count } as const;
    const zipf = { order: 'zipf', count: small.count } as const;
    const all = { order: 'walk', count: large.count } as const;
    // Of both databases as many are read, so that the trail has as much to write of each; of the larger one all over it.
    const few = { order: 'walk', count: small.count } as const;
    const spacing = Math.floor(large.count / small.count);
    const one: Cell = { name: 'one', contender: warm };
    const ofFew: Cell = { name: 'uniform', contender: warm, companies: uniform };
    return [
      [
        { name: 'untimed', contender: http, isUntimed: true },
        { name: 'fastify', contender: fastify },
        { name: 'nest', contender: nest },
        { name: 'least', contender: least },
        { name: 'http', contender: http },
        one,
      ],
      [one, ofFew, { name: 'zipf', contender: warm, companies: zipf }],
      [ofFew, { name: 'beside', contender: warm, companies: uniform, beside: this.renewals }],
      [ofFew, { name: 'warmLarge', contender: warmLarge, companies: uniform }],
      [
        { name: 'sealed', contender: sealed, companies: all },
        { name: 'cold', contender: cold, companies: all },
      ],
      [
        { name: 'coldSmall', contender: coldSmall, companies: few },
        { name: 'coldLarge', contender: coldLarge, companies: { ...few, spacing } },
      ],
    ];
  }

  /** Also those that were still starting when another failed to. */
  async stop(): Promise<void> {
    await this.renewals?.stop();
    for (const one of await Promise.allSettled(this.#started))
      if (one.status === 'fulfilled') await one.value.stop();
  }

  #keep<Starting extends Promise<Contender>>(starting: Starting): Starting {
    this.#started.push(starting);
    return starting;
  }
}
