/** What is looked at. */
export type About =
  'configuration' | 'database' | 'keys' | 'provider' | 'callers' | 'webhooks' | 'public_url';

/** `problem`: it does not work, or soon will not. `warning`: it works, and somebody should know. */
export type Level = 'ok' | 'warning' | 'problem';

/** What was found, and what is to be done about it. Holds no secret. */
export interface Finding {
  readonly about: About;
  /** Which one, where there are several: a provider's name. */
  readonly name?: string;
  readonly level: Level;
  readonly what: string;
  readonly remedy?: string;
}

/** Findings about one thing. */
export class Findings {
  readonly all: Finding[] = [];

  constructor(
    private readonly about: About,
    private readonly name?: string,
  ) {}

  ok(what: string): void {
    this.#add('ok', what);
  }

  warn(what: string, remedy: string): void {
    this.#add('warning', what, remedy);
  }

  problem(what: string, remedy: string): void {
    this.#add('problem', what, remedy);
  }

  #add(level: Level, what: string, remedy?: string): void {
    const { about, name } = this;
    this.all.push({
      about,
      ...(name === undefined ? {} : { name }),
      level,
      what,
      ...(remedy === undefined ? {} : { remedy }),
    });
  }
}
