import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { assert, asyncProperty } from 'fast-check';
import { Environment } from '../../src/config/environment.js';
import { readSettings } from '../../src/config/settings.js';
import { createDataSource } from '../../src/database/data-source.js';
import { Database } from '../../src/database/database.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { DataKeyStore } from '../../src/vault/data-key.store.js';
import { KeyRing } from '../../src/vault/key-ring.js';
import { Vault } from '../../src/vault/vault.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { Clocks } from './clocks.js';
import type { Ground } from './engine.js';
import { scenes, stories } from './step.js';
import { Story } from './story.js';

/** How many stories are told; more for a long run. A seed and a path, as they are told of a failure, tell it again. */
const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 50);
const SEED = process.env['PROPERTY_SEED'];
const PATH = process.env['PROPERTY_PATH'];
/** `no` tells the first failure as it came, without looking for a shorter story. */
const SHRINK = process.env['PROPERTY_SHRINK'] !== 'no' && PATH === undefined;
/** Milliseconds for all runs, and for the search for a shorter story that fails. */
const MOST_MS = 120_000 + RUNS * 1_000;

/** Numbers that follow from the first: what the engine draws is part of the story. */
function drawnFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Random stories of claims, answers, crashes, changes from outside and time: docs and tests name the rules one by one. */
describe('whatever happens, in whatever order', () => {
  const random = Math.random;
  let database: TestDatabase;
  let ground: Ground;
  let clocks: Clocks;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    database = await createTestDatabase();
    const settings = readSettings(
      new Environment({
        DATABASE_URL: database.url,
        ENCRYPTION_KEYS: `test:${randomBytes(32).toString('base64')}`,
        ADMIN_KEY: `test-secret-admin-${randomBytes(24).toString('hex')}`,
        PUBLIC_URL: 'https://broker.example',
      }),
    );
    // One connection: what is said first is done first.
    const dataSource = createDataSource({ url: () => database.url, ca: null }, 1);
    await dataSource.initialize();
    clocks = new Clocks(dataSource);
    await clocks.install();
    const ring = new KeyRing(settings, new DataKeyStore(new Database(dataSource, clocks.here)));
    await ring.onModuleInit();
    ground = { dataSource, clock: clocks.here, settings, vault: new Vault(ring), metrics: new Metrics() };
  });

  afterAll(async () => {
    Math.random = random;
    Logger.overrideLogger(['error', 'warn', 'log', 'debug']);
    await ground?.dataSource.destroy();
    await database?.drop();
  });

  it(
    'no grant is lost, no token goes back, nothing dies or loops that need not, and all comes right in the end',
    async () => {
      await assert(
        asyncProperty(scenes, stories, async (scene, steps) => {
          Math.random = drawnFrom(scene.draws);
          const story = await Story.begin(ground, clocks, scene);
          for (const step of steps) await story.play(step);
          await story.heal();
        }),
        {
          numRuns: RUNS,
          ...(SEED === undefined ? {} : { seed: Number(SEED) }),
          ...(PATH === undefined ? {} : { path: PATH }),
          endOnFailure: !SHRINK,
          interruptAfterTimeLimit: MOST_MS,
        },
      );
    },
    MOST_MS + 30_000,
  );
});
