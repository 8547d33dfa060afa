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
const RATE = { KEY_ROTATION_RATE: '1000' };

interface Times {
  readonly fetches: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
}

/** Fetches tokens of random companies, so many a second whatever the answers take. */
class Load {
  #times: number[] = [];
  #failed = 0;
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

  /** What was measured since the last time that somebody asked. */
  take(): Times {
    const sorted = this.#times.sort((a, b) => a - b);
    const at = (share: number): number =>
      Math.round((sorted[Math.floor(sorted.length * share)] ?? NaN) * 10) / 10;
    const times = { fetches: sorted.length, failed: this.#failed, p50: at(0.5), p99: at(0.99) };
    this.#times = [];
    this.#failed = 0;
    return times;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
  }

  #begin(): void {
    const begunAt = performance.now();
    const one = this.fetchOne()
      .then(
        ({ status }) => void (status === 200 || (this.#failed += 1)),
        () => void (this.#failed += 1),
      )
      .finally(() => {
        this.#times.push(performance.now() - begunAt);
        this.#open.delete(one);
      });
    this.#open.add(one);
  }
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
    const start = (): Promise<Replica> => world.replica(RATE);
    const [one, other, ...doomed] = [await start(), await start(), await start(), await start()];
    let count = 0;
    const load = new Load(() => {
      const company = Math.floor(Math.random() * ROWS);
      return world.api((count += 1) % 2 ? one : other, 'GET', `/v1/tokens/konnect/companies/${company}`);
    });
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    await sleep(QUIET_MS / 4);
    load.take();
    await sleep(QUIET_MS);
    const before = load.take();

    const left = async (): Promise<number> => (await keys.list())[1]?.rows ?? NaN;
    const begunAt = performance.now();
    const { id } = await keys.rotate();
    while ((await left()) >= ROWS * 0.8) await sleep(500);
    doomed[0]?.signal('SIGKILL');
    while ((await left()) >= ROWS * 0.5) await sleep(500);
    doomed[1]?.signal('SIGKILL');
    while ((await left()) > 0) await sleep(1_000);
    const tookS = Math.round((performance.now() - begunAt) / 1_000);
    const during = load.take();
    await sleep(QUIET_MS);
    const after = load.take();
    await load.stop();
    const line = (name: string, { fetches, failed, p50, p99 }: Times): string =>
      `  ${name}: ${fetches} fetches, ${failed} failed, p50 ${p50} ms, p99 ${p99} ms\n`;
    writeSync(
      2,
      `rotation of ${ROWS} rows in ${tookS} s\n${line('before', before)}${line('during', during)}${line('after', after)}`,
    );
    expect(before.failed + during.failed + after.failed).toBe(0);

    await world.advance(301);
    const former = (await keys.list())[1]?.id ?? '';
    expect((await world.api(one, 'DELETE', `/v1/keys/${former}`)).status).toBe(204);
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
