import { inspect } from 'node:util';

const SHOWN = '[secret]';

/**
 * A secret in memory. Whatever prints it, by accident or not, prints `[secret]`: string templates, JSON, util.inspect,
 * loggers. `reveal()` is the only way in, and easy to search for.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The plain text: for the one line that sends, seals or compares it. */
  reveal(): string {
    return this.#text;
  }

  /** The value of a secret that is JSON. What JSON.parse says of a broken one would quote it, so that stays inside. */
  revealJson<T>(): T {
    try {
      return JSON.parse(this.#text) as T;
    } catch {
      throw new Error('a secret that should be JSON is not');
    }
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [inspect.custom](): string {
    return SHOWN;
  }
}

declare const sealed: unique symbol;

/**
 * A secret at rest: what the vault made of it, as it lies in a bytea column. The brand makes storing anything else,
 * or answering with this, a compile error.
 */
export type Sealed = Buffer & { readonly [sealed]: true };
