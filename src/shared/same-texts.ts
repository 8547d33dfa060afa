import { LRUCache } from 'lru-cache';
import { flat } from './flat-text.js';

/** More than there are: names of providers, states, types and errors. */
const MOST = 1_000;

/** The one copy of a text that many things have in common. */
export class SameTexts {
  readonly #texts = new LRUCache<string, string>({ max: MOST });

  of(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const own = flat(text);
    this.#texts.set(own, own);
    return own;
  }
}
