import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { placeOf } from '../../src/token/connection.js';
import type { Sealed } from '../../src/shared/secret.js';
import { Vault } from '../../src/vault/vault.js';
import { Crowd } from '../support/crowd.js';
import { KeyOperator, stopResealing } from '../support/keys.js';
import type { Replica } from '../support/replica.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const ROWS = Number(process.env['KEY_ROTATION_ROWS'] ?? 200_000);
const CHUNK = Math.min(5_000, ROWS);
const A_SECOND = 300;
const TICK_MS = 10;
const QUIET_MS = 20_000;
const WINDOW_MS = 5_000;
/** Fetches that take as long where nothing else is done wait for the processor. Milliseconds. */
const BUSY_MS = 50;

interface Times {
  readonly fetches: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  /** The median of the p99 of windows that are equally long in each phase: one that something else has spoilt moves nothing. */
  readonly medianP99: number;
}

interface Fetch {
  readonly begunAt: number;
  readonly tookMs: number;
  readonly isServed: boolean;
}

/** Fetches tokens of random companies, so many a second whatever the answers take. */
class Load {
  readonly #fetches: Fetch[] = [];
  readonly #open = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly fetchOne: () => Promise<{ status: number }>) {
    let due = 0;
    let last = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      due += ((now - last) / 1_000) * A_SECOND;
      last = now;
      for (; due >= 1; due -= 1) this.#begin();
    }, TICK_MS);
  }

  /** Of what was begun between these, however long it took; to be asked once all has ended. */
  times(from: number, to: number): Times {
    const within = this.#begun(from, to);
    const windows: number[] = [];
    for (let at = from; at + WINDOW_MS <= to; at += WINDOW_MS)
      windows.push(quantile(this.#begun(at, at + WINDOW_MS), 0.99));
    const median = windows.sort((a, b) => a - b)[Math.floor(windows.length / 2)];
    const [p50, p99] = [quantile(within, 0.5), quantile(within, 0.99)];
    const failed = within.filter(({ isServed }) => !isServed).length;
    return { fetches: within.length, failed, p50, p99, medianP99: median ?? p99 };
  }

  /** How many failed, whenever that was. */
  get failed(): number {
    return this.#fetches.filter(({ isServed }) => !isServed).length;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
  }

  #begun(from: number, to: number): Fetch[] {
    return this.#fetches.filter(({ begunAt }) => begunAt >= from && begunAt < to);
  }

  #begin(): void {
    const begunAt = performance.now();
    const note = (isServed: boolean): void =>
      void this.#fetches.push({ begunAt, tookMs: performance.now() - begunAt, isServed });
    const one = this.fetchOne()
      .then(
        ({ status }) => note(status === 200),
        () => note(false),
      )
      .finally(() => this.#open.delete(one));
    this.#open.add(one);
  }
}

/** In milliseconds. */
function quantile(fetches: readonly Fetch[], share: number): number {
  const sorted = fetches.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return Math.round((sorted[Math.floor(sorted.length * share)] ?? NaN) * 10) / 10;
}

describe(`a data key of ${ROWS} rows is replaced under ${A_SECOND} fetches a second`, () => {
  const world = useWorld();
  let sealer: LocalBroker;
  const keys = new KeyOperator(world, () => sealer);

  beforeAll(async () => {
    sealer = await world.local();
    await sealer.broker.app.get(RenewalSchedule).stop();
    await stopResealing(sealer);
    const crowd = new Crowd(world, () => sealer);
    for (let first = 0; first < ROWS; first += CHUNK)
      await crowd.ofKonnect(CHUNK, { provider: 'konnect', first, expiresInS: 86_400, renewInS: 80_000 });
    await world.sql('vacuum analyze connections');
  }, 300_000);

  it('with two replicas killed on the way: no fetch fails, and the former keys are needed no more', async () => {
    const start = (): Promise<Replica> => world.replica();
    const [one, other, ...doomed] = [await start(), await start(), await start(), await start()];
    let count = 0;
    const load = new Load(() => {
      const company = Math.floor(Math.random() * ROWS);
      return world.api((count += 1) % 2 ? one : other, 'GET', `/v1/tokens/konnect/companies/${company}`);
    });
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    await sleep(QUIET_MS / 4);
    const quietAt = performance.now();
    await sleep(QUIET_MS);

    // Where nobody could count them, they are not moved yet.
    const left = async (): Promise<number> => (await keys.list())[1]?.rows ?? Infinity;
    const downTo = async (share: number): Promise<number> => {
      for (;;) {
        const rows = await left();
        if (rows <= ROWS * share) return rows;
        await sleep(500);
      }
    };
    const begunAt = performance.now();
    const { id } = await keys.rotate();
    const leftAtKills: number[] = [];
    for (const [index, share] of [0.8, 0.5].entries()) {
      leftAtKills.push(await downTo(share));
      doomed[index]?.signal('SIGKILL');
    }
    await downTo(0);
    const endedAt = performance.now();
    await sleep(QUIET_MS);
    const quietUntil = performance.now();

    // What replicas have in memory opens on, too, once the former key is gone.
    await world.advance(301);
    const former = (await keys.list())[1]?.id ?? '';
    expect((await world.api(one, 'DELETE', `/v1/keys/${former}`)).status).toBe(204);
    await sleep(QUIET_MS / 4);
    await load.stop();

    const before = load.times(quietAt, begunAt);
    const during = load.times(begunAt, endedAt);
    const after = load.times(endedAt, quietUntil);
    const line = (name: string, { fetches, failed, p50, p99, medianP99 }: Times): string =>
      `  ${name}: ${fetches} fetches, ${failed} failed, p50 ${p50} ms, p99 ${p99} ms, median of its windows of ${WINDOW_MS / 1_000} s ${medianP99} ms\n`;
    writeSync(
      2,
      `rotation of ${ROWS} rows in ${Math.round((endedAt - begunAt) / 1_000)} s, killed at ${leftAtKills.join(' and ')} left, ` +
        `${load.failed} failed in all\n${line('before', before)}${line('during', during)}${line('after', after)}`,
    );
    if (Math.min(before.p50, after.p50) > BUSY_MS)
      writeSync(2, '  the machine was too busy for its times to say anything\n');
    expect(load.failed).toBe(0);
    // In the middle of it, and not behind its end.
    expect(Math.min(...leftAtKills)).toBeGreaterThan(0);

    const next = `next:${randomBytes(32).toString('base64')}`;
    const wrapping = await world.replica({
      ENCRYPTION_KEYS: `${next},${world.environment()['ENCRYPTION_KEYS']}`,
    });
    expect((await world.api(wrapping, 'POST', '/v1/keys/rewrap')).body['rewrapped']).toBe(3);
    for (const replica of [one, other, wrapping]) await replica.stop();

    const alone = await world.local({ ENCRYPTION_KEYS: next });
    expect(await openAll(alone.broker.app.get(Vault))).toBe(ROWS);
    expect((await keys.list()).map((key) => key.id)).toEqual([id]);
    // What the machine does besides moves the quiet times, too.
    expect(during.p99).toBeLessThan(2 * Math.max(before.p99, after.p99, 5));
    expect(during.medianP99).toBeLessThan(2 * Math.max(before.medianP99, after.medianP99, 5));
  }, 1_800_000);

  /** How many rows open, both what they hand out and what they renew from. */
  async function openAll(vault: Vault): Promise<number> {
    let opened = 0;
    for (let after = '00000000-0000-0000-0000-000000000000'; ;) {
      const rows = await world.sql<{
        id: string;
        provider: string;
        companyId: string;
        token: Sealed;
        grant: Sealed;
      }>(
        `select id, provider, company_id as "companyId", sealed_token as token, sealed_grant as grant
         from connections where id > $1 order by id limit ${CHUNK}`,
        [after],
      );
      for (const row of rows) {
        expect(vault.open(row.token, placeOf(row, 'sealed_token')).reveal()).toContain(
          'test-secret-first-token',
        );
        vault.open(row.grant, placeOf(row, 'sealed_grant'));
        opened += 1;
      }
      if (rows.length < CHUNK) return opened;
      after = rows.at(-1)?.id ?? '';
    }
  }
});
