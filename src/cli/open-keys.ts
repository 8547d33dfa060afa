import { ConsoleLogger, Logger } from '@nestjs/common';
import { AuditLines } from '../audit/audit-lines.js';
import { AuditStore } from '../audit/audit.store.js';
import { Environment } from '../config/environment.js';
import { readKeySettings } from '../config/settings.js';
import { directAddress } from '../database/address.js';
import { createDataSource } from '../database/data-source.js';
import { Database } from '../database/database.js';
import { explainRefusal } from '../database/refusal.js';
import type { Actor } from '../shared/actor.js';
import { Clock } from '../shared/clock.js';
import { EVERYTHING } from '../shared/permission.js';
import { Metrics } from '../telemetry/metrics.js';
import { DataKeyStore } from '../vault/data-key.store.js';
import { DataKeys, type Note } from '../vault/data-keys.js';
import { KeyCensus } from '../vault/key-census.js';
import { KeyRing } from '../vault/key-ring.js';

/** Whoever has the database and the keys needs no key of ours: the trail can name only where it was done. */
const COMMAND_LINE: Actor = { id: 'command-line', keyId: null, sourceIp: null, requestId: null };

/** Opens the keys of a database for one piece of work, and closes all again. */
export async function withKeys<T>(work: (open: { keys: DataKeys; note: Note }) => Promise<T>): Promise<T> {
  // What a command has done it says itself, and what it prints may be read by a program: only errors, which go to stderr.
  Logger.overrideLogger(new ConsoleLogger({ logLevels: ['error', 'fatal'], colors: false }));
  const environment = new Environment(process.env);
  const settings = readKeySettings(environment);
  const address = directAddress(settings);
  const dataSource = createDataSource(address, 2);
  try {
    await dataSource.initialize();
    const clock = new Clock();
    const database = new Database(dataSource, clock);
    const store = new DataKeyStore(database);
    const ring = new KeyRing(settings, store, clock);
    await ring.refresh();
    const audit = new AuditStore(
      database,
      new AuditLines({ audit: { retentionDays: 1, stdout: false } }),
      new Metrics(),
    );
    const note: Note = (run, reason) =>
      audit.write(run, {
        actor: COMMAND_LINE,
        action: 'key:admin',
        outcome: 'allowed',
        resource: EVERYTHING,
        reason,
      });
    return await work({ keys: new DataKeys(store, ring, new KeyCensus(database, clock)), note });
  } catch (error) {
    throw explainRefusal(error, address);
  } finally {
    environment.close();
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}
