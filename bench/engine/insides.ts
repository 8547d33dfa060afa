import type { KeyObject } from 'node:crypto';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ConfigModule } from '#broker/config/config.module.js';
import { Environment } from '#broker/config/environment.js';
import { readSettings, type Settings } from '#broker/config/settings.js';
import { Database } from '#broker/database/database.js';
import { Clock } from '#broker/shared/clock.js';
import { CallsInFlight } from '#broker/token/calls-in-flight.js';
import { LeaseStore } from '#broker/token/lease.store.js';
import { TokenModule } from '#broker/token/token.module.js';
import { KeyRing } from '#broker/vault/key-ring.js';
import { Vault } from '#broker/vault/vault.js';
import { type Surroundings, variablesOf } from './surroundings.js';

/** The engine without what drives it: neither listeners nor a schedule. */
class Engine {}

/** The broker's own parts in this program: its tables by its migrations, its vault, and the leases of its engine. */
export class Insides {
  private constructor(
    private readonly environment: Environment,
    private readonly app: INestApplicationContext,
    readonly settings: Settings,
  ) {}

  /** Makes the tables where they are not there yet. */
  static async open(surroundings: Surroundings): Promise<Insides> {
    const environment = new Environment(variablesOf(surroundings));
    const settings = readSettings(environment);
    const imports = [ConfigModule.with(settings, new Clock()), TokenModule];
    const app = await NestFactory.createApplicationContext(
      { module: Engine, imports },
      { logger: ['error', 'warn'], abortOnError: false },
    );
    return new Insides(environment, app, settings);
  }

  get database(): Database {
    return this.app.get(Database, { strict: false });
  }

  get vault(): Vault {
    return this.app.get(Vault, { strict: false });
  }

  /** What rows are sealed with. */
  get sealKey(): KeyObject {
    return this.app.get(KeyRing, { strict: false }).newest('seal').key;
  }

  get leases(): LeaseStore {
    return this.app.get(LeaseStore, { strict: false });
  }

  get calls(): CallsInFlight {
    return this.app.get(CallsInFlight, { strict: false });
  }

  async close(): Promise<void> {
    await this.app.close();
    this.environment.close();
  }
}
