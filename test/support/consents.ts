import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach } from '@jest/globals';
import { Browser } from './browser.js';
import { eventually, type Answer, type Json } from './http.js';
import type { LocalBroker, World } from './world.js';

interface Place {
  readonly api: string;
}

/** Company 42's way through consent, from the link that an operator makes to the page where the seller ends up. */
export class Consents {
  constructor(private readonly world: World) {}

  /** An operator asks for a link. */
  ask(at: Place, provider: string, body?: unknown): Promise<Answer> {
    const path = `/v1/connections/${provider}/companies/42/authorize-link`;
    return this.world.api(at, 'POST', path, body);
  }

  async link(at: Place, provider: string, body?: Json): Promise<string> {
    const answer = await this.ask(at, provider, body);
    if (answer.status !== 200) throw new Error(`no link was made: ${answer.text}`);
    return String(answer.body['url']);
  }

  /** Where a link sends the browser: to the provider. */
  async open(link: string, browser: Browser): Promise<URL> {
    return new URL(locationOf(await browser.visit(link)));
  }

  /** Where the browser comes back to, once the seller has agreed. */
  async agree(link: string, browser: Browser): Promise<URL> {
    const { href } = await this.open(link, browser);
    return new URL(locationOf(await browser.visit(href)));
  }

  /** All of it. */
  async connect(at: Place, provider: string, body?: Json, browser = new Browser()): Promise<Answer> {
    return browser.visit((await this.agree(await this.link(at, provider, body), browser)).href);
  }

  token(at: Place, provider: string, query = ''): Promise<Answer> {
    return this.world.api(at, 'GET', `/v1/tokens/${provider}/companies/42${query}`);
  }

  /** The connection as it is shown; undefined where there is none. */
  async connection(at: Place, provider: string): Promise<Json | undefined> {
    const path = `/v1/connections?provider=${provider}&company_id=42`;
    return ((await this.world.api(at, 'GET', path)).body['items'] as Json[])[0];
  }

  /** An operator renews it now. */
  async renew(at: Place, provider: string): Promise<Answer> {
    const id = String((await this.connection(at, provider))?.['id']);
    return this.world.api(at, 'POST', `/v1/connections/${id}/renew`);
  }

  /** Renews until that works: where a provider is well again, the calendar may be about to find that out. */
  recover(at: Place, provider: string): Promise<Json> {
    return eventually(async () => {
      const { body } = await this.renew(at, provider);
      return body['last_error'] === null && body;
    });
  }
}

/** Gives the suite that calls this a seller; before each test nothing is connected and nothing is known of a provider. */
export function useConsents(world: World): Consents {
  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
    // A reset has set the simulator's clock back.
    const aheadS = (world.clock.now().getTime() - Date.now()) / 1_000;
    await world.simulator.control('POST', 'clock', { advance_s: Math.max(0, aheadS) });
  });
  return new Consents(world);
}

type Changes = Record<string, string | undefined>;

/** Starts brokers that are stopped after the test: two with different settings would renew each other's connections. */
export function useOtherBrokers(world: World): (changes: Changes) => Promise<LocalBroker> {
  const others: LocalBroker[] = [];
  afterEach(async () => {
    for (const { broker } of others.splice(0)) await broker.stop();
  });
  return async (changes) => {
    const other = await world.local(changes);
    others.push(other);
    return other;
  };
}

/** Writes providers to a file, for `PROVIDERS_FILE`. */
export function useProvidersFiles(): (providers: Json) => string {
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  let files = 0;
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return (providers) => {
    const path = join(folder, `providers-${(files += 1)}.yaml`);
    writeFileSync(path, JSON.stringify({ providers }));
    return path;
  };
}

function locationOf({ status, headers, text }: Answer): string {
  const location = headers.get('location');
  if (status !== 302 || location === null) throw new Error(`no redirect: ${status} ${text}`);
  return location;
}
