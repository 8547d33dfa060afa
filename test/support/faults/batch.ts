import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, type Answer, type Json } from '../http.js';
import type { Replica } from '../replica.js';
import { API_KEY, API_SECRET, type World } from '../world.js';
import type { Mode } from './modes.js';

const CLIENT = { authorization: `Basic ${Buffer.from(`${API_KEY}:${API_SECRET}`).toString('base64')}` };
const REDIRECT_URI = 'https://elsewhere.example/callback';
/** The token in hand is good for half an hour, and what a renewal brings for an hour. */
const IN_HAND_S = 1_800;
/** Real time in which everything is to settle, and in which something is to happen before time is moved. */
const PATIENCE_MS = 90_000;
const STANDSTILL_MS = 1_300;

/** What connections need around them. */
export interface Surroundings {
  readonly world: World;
  /** The replica that stays. */
  readonly survivor: Replica;
}

export interface BatchOptions {
  /** Seconds that the tokens in hand are still good. */
  readonly livesS?: number;
}

/** A call to the provider, as its ledger has it. */
export interface Call {
  readonly at: string;
  readonly company_id: string | null;
  readonly fingerprints: { readonly refresh_token?: string };
  readonly outcome: string;
  readonly reused: boolean;
}

export interface Row {
  readonly id: string;
  readonly company_id: string;
  readonly status: string;
  readonly status_reason: string | null;
  readonly token_version: number;
  readonly lease_owner: string | null;
  readonly unknown_outcome: string | null;
}

/** Connections of one provider that go through something together. */
export class Batch {
  readonly began = performance.now();

  private constructor(
    private readonly scene: Surroundings,
    readonly mode: Mode,
    readonly companies: readonly string[],
    readonly ids: readonly string[],
  ) {}

  static async connect(
    scene: Surroundings,
    mode: Mode,
    name: string,
    count: number,
    { livesS = IN_HAND_S }: BatchOptions,
  ): Promise<Batch> {
    const companies = Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
    const ids = await Promise.all(companies.map((company) => connect(scene, mode, company, livesS)));
    return new Batch(scene, mode, companies, ids);
  }

  /** Callers of this replica who want more than there is, all at once. Resolves to what they got; 0: nothing. */
  async want(replica: Replica, query = '?min_ttl=3000'): Promise<number[]> {
    const fetched = this.companies.map((company) =>
      this.fetch(replica, company, query).then(
        ({ status }) => status,
        () => 0,
      ),
    );
    return Promise.all(fetched);
  }

  fetch(replica: Replica, company: string, query = ''): Promise<Answer> {
    return this.scene.world.api(replica, 'GET', `/v1/tokens/${this.mode}/companies/${company}${query}`);
  }

  /** An operator renews them all, one after the other; the connections as they are then shown. */
  async renew(replica: Replica): Promise<Json[]> {
    const shown: Json[] = [];
    for (const id of this.ids) {
      shown.push((await this.scene.world.api(replica, 'POST', `/v1/connections/${id}/renew`)).body);
    }
    return shown;
  }

  async rows(): Promise<Row[]> {
    return this.scene.world.sql<Row>('select * from connections where id = any($1::uuid[])', [this.ids]);
  }

  /** Their calls to the provider, oldest first. */
  async calls(): Promise<Call[]> {
    const { entries } = await this.scene.world.simulator.ledger('?provider=oauth2&operation=renew');
    const mine = new Set(this.companies);
    return (entries as unknown as Call[]).filter(({ company_id }) => mine.has(company_id ?? ''));
  }

  /** Resolves once the provider holds a call of each. */
  async heldByProvider(): Promise<void> {
    await eventually(
      async () =>
        ((await this.scene.world.simulator.ledger('?limit=0')).counters['held'] as number) >= this.ids.length,
    );
  }

  /** Resolves once each has a new token: that of this version. */
  async renewed(version = 2): Promise<void> {
    await eventually(async () => (await this.rows()).every((row) => row.token_version >= version));
  }

  /**
   * Resolves once each has a new token or is dead. Where nothing happens any more, time is moved on to when all of them are
   * due; after a while it is given up, and the audit tells what is left.
   */
  async settle(): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    let seen = '';
    let since = performance.now();
    while (performance.now() < until) {
      const { open, next, ...state } = await this.#look();
      if (open === 0) return;
      const now = JSON.stringify([open, state, (await this.calls()).length]);
      if (now !== seen) [seen, since] = [now, performance.now()];
      else if (performance.now() - since > STANDSTILL_MS) {
        await this.scene.world.advance(next !== null && next > 0 ? next + 0.1 : 5);
        since = performance.now();
      }
      await sleep(50);
    }
  }

  /** Ends them: nothing of them is renewed any more. */
  async end(): Promise<void> {
    const { world, survivor } = this.scene;
    await Promise.all(this.ids.map((id) => world.api(survivor, 'DELETE', `/v1/connections/${id}`)));
  }

  async #look(): Promise<{ open: number; leased: number; failures: number; next: number | null }> {
    const [found] = await this.scene.world.sql<{
      open: number;
      leased: number;
      failures: number;
      next: number | null;
    }>(
      `select count(*)::int as open, count(lease_owner)::int as leased,
              coalesce(sum(consecutive_failures), 0)::int as failures,
              extract(epoch from max(greatest(renew_at, lease_until)) - broker_now())::float8 as next
       from connections where id = any($1::uuid[]) and status in ('active', 'suspect')
         and (token_version < 2 or lease_owner is not null or unknown_outcome is not null
              or consecutive_failures > 0)`,
      [this.ids],
    );
    return found ?? { open: 0, leased: 0, failures: 0, next: null };
  }
}

/** Keeps a grant that was obtained elsewhere, with its token; the connection's id. */
async function connect(scene: Surroundings, mode: Mode, company: string, livesS: number): Promise<string> {
  const { world, survivor } = scene;
  const caller = world.simulator.oauth('oauth2');
  const code = await caller.consent({
    client_id: API_KEY,
    redirect_uri: REDIRECT_URI,
    login_hint: company,
  });
  const exchange = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI };
  const { access_token, refresh_token } = (await caller.post(exchange, CLIENT)).body;
  const offer = { access_token, refresh_token, expires_in: livesS };
  const { status, body, text } = await world.api(
    survivor,
    'PUT',
    `/v1/connections/${mode}/companies/${company}`,
    offer,
  );
  if (status !== 201) throw new Error(text);
  return String(body['id']);
}
