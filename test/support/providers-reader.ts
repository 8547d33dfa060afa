import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { Environment } from '../../src/config/environment.js';
import { ConfigurationError } from '../../src/config/mistakes.js';
import { readSettings, type Settings } from '../../src/config/settings.js';
import type { Json } from './http.js';

/** The fewest variables that a start needs. */
export const LEAST = {
  DATABASE_URL: 'postgres://u:test-secret-pw@127.0.0.1:5432/broker',
  ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
};

/** Reads providers as a start does, from a file that a test writes. */
export class ProvidersReader {
  readonly #folder = mkdtempSync(join(tmpdir(), 'token-broker-providers-'));
  readonly path = join(this.#folder, 'providers.yaml');

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A file that holds this; JSON is YAML. */
  readFile(content: string | Json, variables: Record<string, string> = {}): Settings {
    writeFileSync(this.path, typeof content === 'string' ? content : JSON.stringify(content));
    return readSettings(new Environment({ ...LEAST, PROVIDERS_FILE: this.path, ...variables }));
  }

  read(providers: Json, variables: Record<string, string> = {}): Settings {
    return this.readFile({ providers }, variables);
  }

  /** The file that is shipped. */
  readShipped(variables: Record<string, string> = {}): Settings {
    return readSettings(new Environment({ ...LEAST, ...variables }));
  }
}

/** The lines that stop the start; none where it would go on. */
export function mistakes(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.lines;
    throw error;
  }
  return [];
}

export function useProvidersReader(): ProvidersReader {
  const reader = new ProvidersReader();
  afterAll(() => reader.close());
  return reader;
}
