import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { Environment } from '#broker/config/environment.js';
import { readSettings } from '#broker/config/settings.js';
import { connectDatabase } from '#broker/database/connect.js';
import { Database } from '#broker/database/database.js';
import type { ClaimedConnection } from '#broker/token/connection.js';
import { ConnectionStore } from '#broker/token/connection.store.js';
import { DataKeyStore } from '#broker/vault/data-key.store.js';
import { KeyRing } from '#broker/vault/key-ring.js';
import { Vault } from '#broker/vault/vault.js';
import { LEASE_S, PROVIDER, type Surroundings, variablesOf } from './surroundings.js';

/**
 * The broker's own parts in this program: its tables by its migrations, its vault, and the statements by which its
 * schedule and its callers claim.
 */
export class Insides {
  readonly #store: ConnectionStore;

  private constructor(
    private readonly environment: Environment,
    private readonly dataSource: DataSource,
    readonly database: Database,
    readonly vault: Vault,
  ) {
    this.#store = new ConnectionStore(database);
  }

  /** Makes the tables where they are not there yet. */
  static async open(surroundings: Surroundings): Promise<Insides> {
    Logger.overrideLogger(['error', 'warn']);
    const environment = new Environment(variablesOf(surroundings));
    const settings = readSettings(environment);
    const dataSource = await connectDatabase(settings.database);
    const database = new Database(dataSource);
    const ring = new KeyRing(settings, new DataKeyStore(database));
    await ring.onModuleInit();
    return new Insides(environment, dataSource, database, new Vault(ring));
  }

  /** As the schedule claims: up to `limit` that are due. */
  async claimDue(limit: number): Promise<ClaimedConnection[]> {
    return this.#store.claimDue(PROVIDER, LEASE_S, limit);
  }

  /** As a caller claims: this one, due or not. */
  async claimOne(id: string): Promise<ClaimedConnection | undefined> {
    return this.#store.claim(id, 1, LEASE_S, false);
  }

  async close(): Promise<void> {
    await this.dataSource.destroy();
    this.environment.close();
  }
}
