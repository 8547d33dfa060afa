import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import { CommandLine } from '../support/command-line.js';
import { ask, eventually, freePort, type Json } from '../support/http.js';
import type { Replica } from '../support/replica.js';
import { ADMIN_KEY, API_KEY, API_SECRET, useWorld } from '../support/world.js';

const EXTENSION = fileURLToPath(new URL('../support/extension-process.mjs', import.meta.url));

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-moving-in-'));
const store = join(folder, 'sessions.sqlite');
let broker: Replica;
let extension: ChildProcess | undefined;
let port: number;

beforeAll(async () => {
  port = await freePort();
  broker = await world.replica();
  // Compiled as it is published; the extension is a program of its own, which knows no TypeScript.
  execFileSync(process.execPath, [
    'node_modules/typescript/bin/tsc',
    '-p',
    'client',
    '--outDir',
    join(folder, 'client'),
  ]);
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
});
afterEach(() => stopExtension());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts the extension: on its own, or with its grants left to the broker. */
async function startExtension(isWithBroker: boolean): Promise<void> {
  const settings = {
    port,
    store,
    cluster: world.simulator.url,
    apiKey: API_KEY,
    apiSecret: API_SECRET,
    ...(isWithBroker
      ? {
          broker: broker.api,
          publicUrl: broker.public,
          key: ADMIN_KEY,
          client: pathToFileURL(join(folder, 'client', 'index.js')).href,
        }
      : {}),
  };
  const child = spawn(process.execPath, ['--no-warnings', EXTENSION, JSON.stringify(settings)]);
  extension = child;
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  await eventually(() => {
    if (child.exitCode !== null) throw new Error(output);
    return output.includes('listening\n');
  });
}

async function stopExtension(): Promise<void> {
  if (extension?.exitCode !== null || extension.signalCode !== null) return;
  extension.kill();
  await once(extension, 'close');
}

/** A seller opens the extension: the first time with consent, afterwards without. */
async function open(company: string): Promise<void> {
  const hosts = [`127.0.0.1:${port}`, new URL(world.simulator.url).host];
  const url = `http://127.0.0.1:${port}/fp/install?company_id=${company}&client_id=${API_KEY}`;
  expect((await new Browser().follow(url, hosts)).url).toContain('/welcome');
}

/** An hour passes for a company's session: its token ends within the two minutes in which the library renews. */
function age(company: string): void {
  const database = new DatabaseSync(store);
  const key = `ext:${createHash('sha256').update(`${world.simulator.url}:${company}`).digest('hex')}`;
  database
    .prepare(`update storage set value = json_set(value, '$.access_token_validity', ?) where key = ?`)
    .run(Date.now() + 60_000, key);
  database.close();
}

const use = async (company: string): Promise<unknown> =>
  (await ask('GET', `http://127.0.0.1:${port}/call/${company}`)).body;
const WORKED = { worked: true };

async function bring(): Promise<string> {
  const { output } = await CommandLine.run(['import', 'sessions', store, '--prefix', 'ext'], {
    BROKER_URL: broker.api,
    BROKER_KEY: ADMIN_KEY,
  });
  world.logs.push(output);
  return output.split('\n')[0] ?? '';
}

async function connectionOf(company: string): Promise<Json> {
  const { body } = await world.api(broker, 'GET', `/v1/connections?provider=fynd&company_id=${company}`);
  return (body['items'] as Json[])[0] ?? {};
}

const order = async (company: string, what: 'pause' | 'resume'): Promise<unknown> =>
  (await world.api(broker, 'POST', `/v1/connections/${String((await connectionOf(company))['id'])}/${what}`))
    .status;

/** Renewals of a company so far, whoever sent them. */
async function renewals(company: string): Promise<number> {
  const { counters } = await world.simulator.ledger(`?provider=fynd&operation=renew&company_id=${company}`);
  return Number(counters['calls']);
}

describe('an extension on Fynd’s library moves in, and back', () => {
  it('company by company, and no refresh token is ever sent twice', async () => {
    // The least forgiving that there is: a refresh token that comes again ends its grant.
    await world.simulator.settings('fynd', { rotation: 'strict', token_ttl: 3_000 });
    await startExtension(false);
    for (const company of ['1', '2']) await open(company);
    expect([await use('1'), await use('2'), await renewals('1')]).toEqual([WORKED, WORKED, 0]);

    // While the old renewer still works, what is imported lies still.
    expect(await bring()).toBe('2 kept');
    await world.simulator.settings('fynd', { token_ttl: 3_600 });
    age('1');
    expect([await use('1'), await renewals('1')]).toEqual([WORKED, 1]);
    expect(await connectionOf('1')).toMatchObject({ status: 'paused', token_version: 1 });

    // It stops; what it has renewed meanwhile is imported once more.
    await stopExtension();
    expect(await bring()).toBe('1 replaced, 1 unchanged');
    await startExtension(true);
    expect([await use('1'), await renewals('1')]).toEqual([WORKED, 1]);

    // From here on the broker renews company 1, and nobody else does.
    expect(await order('1', 'resume')).toBe(200);
    await eventually(async () => (await connectionOf('1'))['token_version'] === 3);
    expect([await use('1'), await renewals('1')]).toEqual([WORKED, 2]);
    expect(await connectionOf('2')).toMatchObject({ status: 'paused', token_version: 1 });

    // The way back. Company 2 never was the broker's: the extension goes on as if nothing had been.
    expect(await order('1', 'pause')).toBe(200);
    await stopExtension();
    await startExtension(false);
    age('2');
    expect([await use('2'), await renewals('2')]).toEqual([WORKED, 1]);
    // What the broker has renewed is taken up again as its seller opens the extension.
    await open('1');
    expect(await use('1')).toEqual(WORKED);

    // And in again, for good.
    await stopExtension();
    expect(await bring()).toBe('1 replaced, 1 unchanged');
    await startExtension(true);
    for (const company of ['1', '2']) expect(await order(company, 'resume')).toBe(200);
    await eventually(async () => (await connectionOf('2'))['token_version'] === 3);
    await eventually(async () => (await connectionOf('1'))['token_version'] === 4);
    expect([await use('1'), await use('2')]).toEqual([WORKED, WORKED]);

    const { entries, counters } = await world.simulator.ledger('?provider=fynd&operation=renew');
    expect(counters['reused']).toBe(0);
    expect(entries.filter((entry) => entry['outcome'] !== 'ok')).toEqual([]);
    const sent = entries.map((entry) => JSON.stringify((entry['fingerprints'] as Json)['refresh_token']));
    expect(new Set(sent).size).toBe(sent.length);
  }, 120_000);
});
