/** sysexits.h EX_CONFIG: something was configured wrongly, and starting again will not help. */
export const EXIT_CONFIGURATION = 78;

/** Everything that is wrong with the configuration, one clear line each; no line quotes a secret. */
export class ConfigurationError extends Error {
  constructor(readonly lines: readonly string[]) {
    super(lines.join('\n'));
    this.name = 'ConfigurationError';
  }
}

/** Gathers mistakes, so that an operator sees all of them at the first start and not one per start. */
export class Mistakes {
  readonly #lines: string[] = [];

  add(...lines: string[]): void {
    this.#lines.push(...lines);
  }

  /** Runs `read`; a ConfigurationError that it throws becomes mistakes and the result is undefined. */
  collect<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      this.add(...error.lines);
      return undefined;
    }
  }

  throwIfAny(): void {
    if (this.#lines.length > 0) throw new ConfigurationError(this.#lines);
  }
}
