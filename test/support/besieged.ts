import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect } from '@jest/globals';
import { Browser } from './browser.js';
import { answer, HostileServer, says, type Act } from './hostile-server.js';
import { ask, type Answer } from './http.js';
import type { Replica } from './replica.js';
import { API_KEY, UI_URL, useWorld, type World } from './world.js';

/** Stands in every hostile answer, and may stand nowhere else. */
export const MARK = 'upstream-said-this';
export const MB = 1024 * 1024;
const TIMEOUT_MS = 1_000;
const MOST_MEMORY = 100 * MB;

let tokens = 0;

/** The JSON of a good answer, to a Konnect exchange as to a consent or a renewal, with `changes` on top. */
export function good(changes: object = {}): string {
  const access_token = `test-secret-token-${(tokens += 1)}`;
  return JSON.stringify({
    access_token,
    refresh_token: 'test-secret-refresh',
    expires_in: 3_600,
    note: MARK,
    ...changes,
  });
}

export interface Suffered {
  readonly proof: Answer;
  readonly page: Answer;
  readonly renewal: Answer;
}

/** A broker in a process of its own, whose providers `fynd` and `konnect` are a hostile server; `calm` is the simulator. */
export class Besieged {
  readonly hostile = new HostileServer();
  readonly #folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  #replica!: Replica;

  constructor(readonly world: World) {}

  async open(): Promise<void> {
    await this.hostile.open();
    const { url } = this.hostile;
    const file = join(this.#folder, 'providers.yaml');
    writeFileSync(
      file,
      `providers:
  fynd: { kind: fynd-platform, base_url: '${url}', api_key: ${API_KEY}, api_secret: test-secret-api, scopes: [a],
          ui_url: '${UI_URL}', timeout: ${TIMEOUT_MS}ms }
  konnect: { kind: konnect, base_url: '${url}', timeout: ${TIMEOUT_MS}ms }
  calm: { kind: konnect, base_url: '${this.world.simulator.url}' }
`,
    );
    this.#replica = await this.world.replica({ PROVIDERS_FILE: file });
  }

  async close(): Promise<void> {
    await this.hostile.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Nothing is connected, and the hostile server behaves. */
  async calmDown(): Promise<void> {
    await this.world.sql('truncate connections, provider_states, credential_proofs');
    this.hostile.act = says(() => answer(200, good({ expires_in: 600 })));
  }

  /** An operator offers a Konnect credential. */
  prove(provider: string, companyId: string): Promise<Answer> {
    const password = `test-secret-password-${companyId}`;
    const path = `/v1/connections/${provider}/companies/${companyId}`;
    return this.world.api(this.#replica, 'PUT', path, { username: companyId, password });
  }

  /** A seller comes back from a consent that nobody was asked for. */
  async callback(companyId: string): Promise<Answer> {
    const browser = new Browser();
    const query = `company_id=${companyId}&client_id=${API_KEY}`;
    const begun = await browser.visit(`${this.#replica.public}/fp/install?${query}`);
    const state = new URL(begun.headers.get('location') ?? '').searchParams.get('state');
    return browser.visit(`${this.#replica.public}/fp/auth?${query}&state=${state}&code=test-secret-code`);
  }

  fetchToken(provider: string, companyId: string, query = ''): Promise<Answer> {
    return this.world.api(this.#replica, 'GET', `/v1/tokens/${provider}/companies/${companyId}${query}`);
  }

  /**
   * A proof, a callback and a renewal against `act`, and a token of the calm provider over and over meanwhile. Expects
   * what holds whatever comes: all of it ends soon, others are served, memory stays, and nothing of it is repeated.
   */
  async suffer(act: Act): Promise<Suffered> {
    expect((await this.callback('42')).headers.get('location')).toBe(`${UI_URL}/company/42`);
    expect((await this.prove('calm', '7')).status).toBe(201);
    const memory = await this.#residentBytes();
    this.hostile.act = act;
    const began = performance.now();
    let running = true;
    const all = Promise.all([
      this.prove('konnect', '43'),
      this.callback('43'),
      this.fetchToken('fynd', '42', '?min_ttl=900'),
    ]).finally(() => (running = false));
    while (running) {
      const asked = performance.now();
      expect((await this.fetchToken('calm', '7')).status).toBe(200);
      expect(performance.now() - asked).toBeLessThan(TIMEOUT_MS);
      expect((await this.#residentBytes()) - memory).toBeLessThan(MOST_MEMORY);
    }
    const [proof, page, renewal] = await all;
    expect(performance.now() - began).toBeLessThan(TIMEOUT_MS + 3_000);
    const told = [proof, page, renewal].map(({ text, headers }) => text + JSON.stringify([...headers]));
    expect([...told, this.#replica.output].join()).not.toContain(MARK);
    return { proof, page, renewal };
  }

  async #residentBytes(): Promise<number> {
    const { text } = await ask('GET', `${this.#replica.api}/metrics`);
    return Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]);
  }
}

/** Gives the suite that calls this a broker of its own to besiege. */
export function useBesieged(): Besieged {
  const besieged = new Besieged(useWorld());
  beforeAll(() => besieged.open());
  beforeEach(() => besieged.calmDown());
  afterAll(() => besieged.close());
  return besieged;
}
