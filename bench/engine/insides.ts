import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { Environment } from '#broker/config/environment.js';
import { readSettings, type Settings } from '#broker/config/settings.js';
import { connectDatabase } from '#broker/database/connect.js';
import { Database } from '#broker/database/database.js';
import { Clock } from '#broker/shared/clock.js';
import { DataKeyStore } from '#broker/vault/data-key.store.js';
import { KeyRing } from '#broker/vault/key-ring.js';
import { Vault } from '#broker/vault/vault.js';
import { type Surroundings, variablesOf } from './surroundings.js';

/** The broker's own parts in this program: its tables by its migrations, and its vault. */
export class Insides {
  private constructor(
    private readonly environment: Environment,
    private readonly dataSource: DataSource,
    readonly settings: Settings,
    readonly database: Database,
    readonly vault: Vault,
  ) {}

  /** Makes the tables where they are not there yet. */
  static async open(surroundings: Surroundings): Promise<Insides> {
    Logger.overrideLogger(['error', 'warn']);
    const environment = new Environment(variablesOf(surroundings));
    const settings = readSettings(environment);
    const dataSource = await connectDatabase(settings.database);
    const database = new Database(dataSource, new Clock());
    const ring = new KeyRing(settings, new DataKeyStore(database));
    await ring.onModuleInit();
    return new Insides(environment, dataSource, settings, database, new Vault(ring));
  }

  async close(): Promise<void> {
    await this.dataSource.destroy();
    this.environment.close();
  }
}
