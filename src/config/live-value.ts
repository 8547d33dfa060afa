import { Logger } from '@nestjs/common';
import { Environment } from './environment.js';

/** A value that is read again when the files behind it change; `current` is always the last one that was good. */
export class LiveValue<T> {
  #current: T;
  readonly #listeners = new Set<(value: T) => void>();

  private constructor(value: T) {
    this.#current = value;
  }

  get current(): T {
    return this.#current;
  }

  /** Calls back with every new value; a new value that does not parse is left out, and the old one stays. */
  onChange(listener: (value: T) => void): void {
    this.#listeners.add(listener);
  }

  /** Reads once now (throwing what `read` throws), and again whenever a file behind one of `names` changes. */
  static of<T>(environment: Environment, names: readonly string[], read: () => T): LiveValue<T> {
    const live = new LiveValue(read());
    for (const name of names) environment.onChange(name, () => live.#refresh(read));
    return live;
  }

  #refresh(read: () => T): void {
    try {
      this.#current = read();
    } catch (error) {
      const why = error instanceof Error ? error.message : 'unknown error';
      new Logger('Config').error(
        `a file was read again and is of no use; what it held before stays in force: ${why}`,
      );
      return;
    }
    for (const listener of this.#listeners) listener(this.#current);
  }
}
