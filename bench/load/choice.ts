import { seeded } from '../scale/seeded.js';
import type { Companies } from './order.js';

/** Drawn beforehand, so that choosing costs nothing; then they come again. */
const DRAWS = 2 ** 17;
/** Steps of this part of all, over and over, come nowhere near where they were before. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** Chooses the company of each request. */
export class Choice {
  /** How many were taken, from the beginning. */
  #taken: number;
  readonly #drawn: Uint32Array;
  readonly #stride: number;

  constructor(private readonly companies: Companies) {
    this.#taken = companies.from ?? 0;
    this.#drawn = draw(companies);
    this.#stride = strideOf(companies.count);
  }

  take(): number {
    return (this.#which() - 1) * (this.companies.spacing ?? 1) + 1;
  }

  #which(): number {
    const index = this.#taken++;
    if (this.companies.order === 'walk') return ((index * this.#stride) % this.companies.count) + 1;
    return this.#drawn[index % DRAWS] ?? 1;
  }
}

function draw({ order, count }: Companies): Uint32Array {
  const random = seeded(1);
  if (order === 'walk') return new Uint32Array();
  if (order === 'uniform') return Uint32Array.from({ length: DRAWS }, () => 1 + Math.floor(random() * count));
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let rank = 1; rank <= count; rank += 1) upTo[rank - 1] = sum += 1 / rank;
  return Uint32Array.from({ length: DRAWS }, () => 1 + firstAbove(upTo, random() * sum));
}

/** The nearest golden step that meets everyone before it meets one again. */
function strideOf(count: number): number {
  const isCommon = (a: number, b: number): boolean => (b === 0 ? a > 1 : isCommon(b, a % b));
  let stride = Math.max(1, Math.round(count * GOLDEN));
  while (isCommon(count, stride)) stride += 1;
  return stride;
}

/** The first of these ascending numbers that is above the value. */
function firstAbove(ascending: Float64Array, value: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? Infinity) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
