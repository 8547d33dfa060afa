import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, jest } from '@jest/globals';
import { Cable } from '../cable.js';
import type { TestDatabase } from '../postgres.js';
import type { Replica } from '../replica.js';
import { API_KEY, API_SECRET, World } from '../world.js';
import { Batch, type BatchOptions } from './batch.js';
import { MODES, rotationAtProvider, type Mode } from './modes.js';
import { installVersionLog } from './version-log.js';

export interface SceneOptions {
  /** What a call to the provider may take; a lease lasts twice as long. */
  readonly timeout?: string;
  /** Default: one in the PostgreSQL that all test files share. */
  readonly database?: () => Promise<TestDatabase>;
}

// A scenario takes longer than another test.
jest.setTimeout(150_000);

/** Seconds in which a replaced refresh token still works, under `grace`: longer than a lease. */
const GRACE_S = 120;
const ROTATIONS: Record<Mode, string> = {
  none: 'none',
  grace: `grace, rotation_grace: ${GRACE_S}s`,
  strict: 'strict',
  unknown: 'unknown',
};
/** Renewals, one after the other, after which the broker asks a provider as fast as it may. */
const WARM_UP = 8;

/**
 * Where things are broken: a provider that rotates as the mode says, a way there that can swallow, replicas that can be
 * killed, and one that stays. The clock of the database and the simulator can be moved; that of a replica cannot.
 */
export class FaultScene {
  readonly world = new World();
  /** The way from the replicas to the provider. */
  wayToProvider!: Cable;
  /** The way from the replicas to the database. */
  wayToDatabase!: Cable;
  /** The replica that stays. */
  survivor!: Replica;
  readonly #folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  #databaseUrl = '';
  #survivesSince = NaN;
  #batches = 0;

  constructor(private readonly options: SceneOptions = {}) {}

  async open(): Promise<void> {
    await this.world.open(this.options.database);
    await installVersionLog(this.world);
    this.wayToProvider = new Cable(new URL(this.world.simulator.url));
    writeFileSync(this.#providersFile, this.#providers(await this.wayToProvider.open()));
    this.wayToDatabase = new Cable(new URL(this.world.databaseUrl));
    this.#databaseUrl = await this.wayToDatabase.open();
    this.survivor = await this.replica();
    this.#survivesSince = performance.now();
  }

  async close(): Promise<void> {
    try {
      await this.world.simulator.control('POST', 'reset');
      for (const way of [this.wayToProvider, this.wayToDatabase]) way.mend();
      await this.world.close();
    } finally {
      for (const way of [this.wayToProvider, this.wayToDatabase]) way.close();
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  /** A process of its own, with a connection to the database for each that is in flight. */
  async replica(changes: Record<string, string> = {}): Promise<Replica> {
    return this.world.replica({
      PROVIDERS_FILE: this.#providersFile,
      DATABASE_URL: this.#databaseUrl,
      DATABASE_POOL: '60',
      LOG_LEVEL: 'warn',
      ...changes,
    });
  }

  /** Has the provider rotate as the mode says, and the broker know that it is well. */
  async rotate(mode: Mode): Promise<void> {
    const rotation = rotationAtProvider(mode);
    await this.world.simulator.settings('oauth2', { rotation, grace_s: GRACE_S });
    const warm = await this.batch(mode, 1);
    for (let count = 0; count < WARM_UP; count += 1) {
      const [shown] = await warm.renew(this.survivor);
      if (shown?.['status'] !== 'active') throw new Error(`not well: ${JSON.stringify(shown)}`);
    }
    await warm.end();
  }

  /** So many connections, each with a grant of its own. */
  async batch(mode: Mode, count: number, options: BatchOptions = {}): Promise<Batch> {
    this.#batches += 1;
    return Batch.connect(this, mode, `${mode}-${this.#batches}`, count, options);
  }

  /** A lease that a process left behind when it died runs out. */
  async leasesRunOut(): Promise<void> {
    await this.world.advance(this.#leaseS + 1);
  }

  /** Until the replica that stays takes such leases at once: one that has just started leaves them alone for as long as they last. */
  async survivorIsOld(): Promise<void> {
    await sleep(Math.max(0, this.#survivesSince + this.#leaseS * 1_000 - performance.now()));
  }

  /** Nothing is wrong with the provider any more. */
  async mend(): Promise<void> {
    await this.world.simulator.control('DELETE', 'faults');
    await this.world.simulator.control('POST', 'release');
    this.wayToProvider.mend();
  }

  get #leaseS(): number {
    return 2 * Number.parseInt(this.#timeout);
  }

  get #timeout(): string {
    return this.options.timeout ?? '10s';
  }

  get #providersFile(): string {
    return join(this.#folder, 'providers.yaml');
  }

  /** One provider for each mode; all are the simulator's standard one. */
  #providers(toProvider: string): string {
    const limits = `timeout: ${this.#timeout}, rate: 50000/s, concurrency: 250`;
    const client = `client_id: ${API_KEY}, client_secret: ${API_SECRET}`;
    const url = toProvider.replace(/\/$/, '');
    const endpoints = `authorize_url: '${url}/oauth2/authorize', token_url: '${url}/oauth2/token'`;
    const providers = MODES.map(
      (mode) =>
        `  ${mode}: { kind: oauth2, base_url: '${url}/${mode}', rotation: ${ROTATIONS[mode]}, ${endpoints}, ${client}, ${limits} }`,
    );
    return `providers:\n${providers.join('\n')}\n`;
  }
}

/** Gives the suite that calls this a scene of its own. */
export function useFaultScene(options: SceneOptions = {}): FaultScene {
  const scene = new FaultScene(options);
  beforeAll(() => scene.open());
  afterAll(() => scene.close());
  return scene;
}
