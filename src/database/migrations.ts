import { readdirSync, readFileSync } from 'node:fs';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Shorter than the service waits for any statement. */
const LOCK_WAITS_MS = 2_000;

const FOLDER = new URL('../../migrations/', import.meta.url);
const FILE = /^(\d{13})-([a-z0-9-]+)\.sql$/;

/**
 * The steps of `migrations/` for TypeORM, in order. A step is plain SQL, `{milliseconds}-{name}.sql`: what runs is what
 * reviewers read. Steps only go forward, each in a transaction of its own.
 */
export function readMigrations(): (new () => MigrationInterface)[] {
  return readdirSync(FOLDER)
    .filter((file) => FILE.test(file))
    .sort()
    .map((file) => {
      const [, timestamp, name] = FILE.exec(file) ?? [];
      return class implements MigrationInterface {
        readonly name = `${name}${timestamp}`;

        async up(runner: QueryRunner): Promise<void> {
          // It may take long, whatever limit the role has for the service.
          await runner.query('set local statement_timeout = 0');
          // But whoever waits for a lock has all who come later wait behind it: it gives up soon, and comes again.
          await runner.query(`set local lock_timeout = '${LOCK_WAITS_MS}ms'`);
          await runner.query(readFileSync(new URL(file, FOLDER), 'utf8'));
        }

        down(): Promise<void> {
          return Promise.reject(new Error('migrations only go forward: restore a backup instead'));
        }
      };
    });
}
