import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { Logger } from '@nestjs/common';
import { ConfigurationError } from './mistakes.js';

/** How often a watched secret file is looked at, in milliseconds; mounted secrets change by a swapped link, so by stat. */
const WATCH_EVERY_MS = 1_000;

/**
 * The variables that the process was started with. A secret may come as NAME or, from a file, as NAME_FILE;
 * such a file is read again when it changes.
 */
export class Environment {
  readonly #variables: NodeJS.ProcessEnv;
  readonly #files = new Map<string, string>();
  /** How often in a row a file was found to be of no use. */
  readonly #troubled = new Map<string, number>();
  readonly #listeners = new Map<string, Set<() => void>>();

  constructor(variables: NodeJS.ProcessEnv) {
    this.#variables = variables;
  }

  /** The plain variable; undefined where unset or empty. */
  plain(name: string): string | undefined {
    return this.#variables[name] || undefined;
  }

  /**
   * NAME, or the content of NAME_FILE without the newline at its end. Throws a ConfigurationError where both are
   * given or the file cannot be read.
   */
  secret(name: string): string | undefined {
    const value = this.plain(name);
    const path = this.plain(`${name}_FILE`);
    if (path === undefined) return value;
    if (value !== undefined)
      throw new ConfigurationError([`${name} and ${name}_FILE are both set: keep one`]);
    const known = this.#files.get(name);
    if (known !== undefined) return known || undefined;
    const content = readSecretFile(name, path);
    this.#files.set(name, content);
    return content || undefined;
  }

  /** Calls back whenever the file behind NAME_FILE has changed and could be read. No effect for a plain variable. */
  onChange(name: string, listener: () => void): void {
    const path = this.plain(`${name}_FILE`);
    if (path === undefined) return;
    const listeners = this.#listeners.get(name);
    if (listeners) {
      listeners.add(listener);
      return;
    }
    this.#listeners.set(name, new Set([listener]));
    watchFile(path, { interval: WATCH_EVERY_MS, persistent: false }, () => this.#reread(name, path));
    // What changed between the first read and the first look of the watch would go unnoticed.
    setTimeout(() => this.#reread(name, path), WATCH_EVERY_MS).unref();
  }

  /** Not at the first look: a file is gone or empty for a moment while it is replaced. Once for as long as it lasts. */
  #tell(name: string, trouble: string): void {
    const looks = (this.#troubled.get(name) ?? 0) + 1;
    this.#troubled.set(name, looks);
    if (looks === 1)
      setTimeout(() => this.#reread(name, this.plain(`${name}_FILE`) ?? ''), WATCH_EVERY_MS).unref();
    if (looks === 2) {
      new Logger('Config').error(`${name}_FILE ${trouble}; what it held before stays in force`);
    }
  }

  /** Stops watching every file. */
  close(): void {
    for (const name of this.#listeners.keys()) unwatchFile(this.plain(`${name}_FILE`) ?? '');
    this.#listeners.clear();
  }

  #reread(name: string, path: string): void {
    // Closed meanwhile.
    if (!this.#listeners.has(name)) return;
    let content: string;
    try {
      content = readSecretFile(name, path);
    } catch {
      return this.#tell(name, 'cannot be read'); // what was read last stays in force
    }
    if (content === '' && this.#files.get(name) === '') return;
    if (content === '') return this.#tell(name, 'is empty');
    this.#troubled.delete(name);
    if (content === this.#files.get(name)) return;
    this.#files.set(name, content);
    for (const listener of this.#listeners.get(name) ?? []) listener();
  }
}

function readSecretFile(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new ConfigurationError([`${name}_FILE: cannot read ${path} (${code})`]);
  }
}
