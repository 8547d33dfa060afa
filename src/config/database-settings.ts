import { readFileSync } from 'node:fs';
import { Secret } from '../shared/secret.js';
import { Environment } from './environment.js';
import { LiveValue } from './live-value.js';
import { ConfigurationError, Mistakes } from './mistakes.js';

/** How the database is reached. */
export interface DatabaseAddresses {
  readonly url: LiveValue<Secret>;
  /** To PostgreSQL itself, where `url` leads to a pooler; else null. */
  readonly directUrl: LiveValue<Secret> | null;
  /** PEM of the authority that signed the database's certificate. */
  readonly ca: string | null;
}

export interface DatabaseSettings extends DatabaseAddresses {
  readonly poolSize: number;
  readonly migrateOnStart: boolean;
  /** false: no statement is kept by the session that it was sent in, which behind some poolers is another each time. */
  readonly namedStatements: boolean;
  /** false: the replicas do not listen to each other. */
  readonly notifications: boolean;
}

/** All that a command needs which works on the database alone. Throws a ConfigurationError. */
export function readDatabaseAddresses(environment: Environment): DatabaseAddresses {
  const mistakes = new Mistakes();
  const url = mistakes.collect(() => addressOf(environment, 'DATABASE_URL'));
  const isDirect = mistakes.collect(() => environment.secret('DATABASE_DIRECT_URL') !== undefined);
  const directUrl = isDirect && mistakes.collect(() => addressOf(environment, 'DATABASE_DIRECT_URL'));
  const ca = mistakes.collect(() => caOf(environment));
  mistakes.throwIfAny();
  if (!url) throw new Error('a mistake went unnoticed');
  return { url, directUrl: directUrl || null, ca: ca ?? null };
}

function addressOf(environment: Environment, name: string): LiveValue<Secret> {
  const form = 'postgres://user:password@host:5432/database';
  return LiveValue.of(environment, [name], () => {
    const text = environment.secret(name);
    if (!text) throw new ConfigurationError([`${name} is not set: ${form}`]);
    const url = URL.canParse(text) ? new URL(text) : null;
    if (!url || !/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2) {
      throw new ConfigurationError([`${name} must look like ${form}`]);
    }
    return new Secret(text);
  });
}

function caOf(environment: Environment): string | null {
  const path = environment.plain('DATABASE_CA_FILE');
  if (!path) return null;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? `there is no file ${path}` : `cannot read ${path} (${code})`;
    throw new ConfigurationError([`DATABASE_CA_FILE: ${why}`]);
  }
}
