import { Injectable } from '@nestjs/common';
import { AuditStore } from '../audit/audit.store.js';
import { Database, type Statement } from '../database/database.js';
import { eventOfProvider, Outbox } from '../outbox/outbox.store.js';
import type { ProviderNews, RenewalCount } from '../provider/observations.js';
import { BROKER, type Actor } from '../shared/actor.js';
import { changeOfProvider } from './connection-trail.js';
import { PROBE_EVERY_S } from './pace.js';
import { SQL } from './provider-state.sql.js';

/** What all replicas know of a provider, and what it was seen to do; null is: not seen yet. */
export interface ObservedProvider {
  /** The dialect in which it last renewed; null while it never did. */
  readonly renewalDialect: string | null;
  readonly misconfigured: boolean;
  /** An operator has paused it. */
  readonly paused: boolean;
  /** Since when nobody asks it because it refused too many connections. */
  readonly massRefusedAt: Date | null;
  /** Why nobody asks it for the moment, which ends by itself. */
  readonly leftAlone: 'rate_limited' | 'unreachable' | null;
  readonly leftAloneUntil: Date | null;
  /** Failures of the way there, of one connection after another, since it last worked. */
  readonly failures: number;
  /** Calls that may be in flight for now; as many as its settings allow once it has worked a few times. */
  readonly callWindow: number;
  readonly rotationObserved: 'none' | 'rotating' | null;
  /** Seconds; null also where its tokens never expire. */
  readonly lifetimeObservedS: number | null;
  /** Seconds that its clock is ahead of ours. */
  readonly clockSkewS: number | null;
  readonly lastError: string | null;
  /** The way there has not worked since the last error. */
  readonly failing: boolean;
  /** Since when the newest client credentials are in use. */
  readonly credentialsSince: Date | null;
}

/** A secret that nobody has used for this many others may come back as a new one. */
const CREDENTIALS_REMEMBERED = 10;

const UNKNOWN: ObservedProvider = {
  renewalDialect: null,
  misconfigured: false,
  paused: false,
  massRefusedAt: null,
  leftAlone: null,
  leftAloneUntil: null,
  failures: 0,
  callWindow: 1,
  rotationObserved: null,
  lifetimeObservedS: null,
  clockSkewS: null,
  lastError: null,
  failing: false,
  credentialsSince: null,
};

/** What is known of providers: `provider_states` but for the pace at which they are asked. */
@Injectable()
export class ProviderStateStore {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditStore,
    private readonly outbox: Outbox,
  ) {}

  /** Makes sure that each has a row, to lock. */
  async ensure(providers: readonly string[]): Promise<void> {
    await this.database.run(SQL.ensure, [providers]);
  }

  /** What is known of each of these, by name; also of one of which nothing is. */
  async list(providers: readonly string[]): Promise<Map<string, ObservedProvider>> {
    const rows = await this.database.run<ObservedProvider & { provider: string }>(SQL.list, [providers]);
    const known = new Map(rows.map((row) => [row.provider, row]));
    return new Map(providers.map((name) => [name, known.get(name) ?? UNKNOWN]));
  }

  /** The names of those that refuse our registration, and of those that an operator has paused. */
  async listHeldBack(): Promise<{ misconfigured: string[]; paused: string[] }> {
    const rows = await this.database.run<{ provider: string; misconfigured: boolean; paused: boolean }>(
      SQL.listHeldBack,
    );
    return {
      misconfigured: rows.filter(({ misconfigured }) => misconfigured).map(({ provider }) => provider),
      paused: rows.filter(({ paused }) => paused).map(({ provider }) => provider),
    };
  }

  /** It renewed in this dialect: it is well, and the dialect is remembered. A pause stays. */
  async markWorking(provider: string, dialect: string): Promise<void> {
    await this.database.transaction(async (run) => {
      const [former] = await run<{ status: string }>(SQL.lockStatus, [provider]);
      await run(SQL.worked, [provider, dialect]);
      if (former?.status !== 'misconfigured') return;
      await this.audit.write(run, changeOfProvider(provider, BROKER, 'recovered'));
      await this.outbox.write(run, eventOfProvider('provider.recovered', provider, null));
    });
  }

  /** It refuses our registration: nobody asks it until a probe tells otherwise. True where that is news. */
  async markMisconfigured(provider: string, code: string, credentialsFingerprint: string): Promise<boolean> {
    const values = [provider, code, credentialsFingerprint, PROBE_EVERY_S];
    return this.database.transaction(async (run) => {
      const [row] = await run<{ isNews: boolean }>(SQL.misconfigured, values);
      if (row?.isNews !== true) return false;
      await this.audit.write(run, changeOfProvider(provider, BROKER, 'misconfigured'));
      await this.outbox.write(run, eventOfProvider('provider.misconfigured', provider, code));
      return true;
    });
  }

  /** True where it was not paused before. From the next look at the gate nobody claims anything of it. */
  async pause(provider: string, actor: Actor): Promise<boolean> {
    return this.#change(SQL.pause, provider, actor, 'paused');
  }

  /** True where it was paused. */
  async resume(provider: string, actor: Actor): Promise<boolean> {
    return this.#change(SQL.resume, provider, actor, 'resumed');
  }

  /** Asks it again after mass refusals; an operator's pause stays. */
  async goOn(provider: string, actor: Actor): Promise<void> {
    await this.#change(SQL.goOn, provider, actor, 'resumed');
  }

  /** Writes down what was seen of one provider; `now` is monotonic. */
  async observe(news: ProviderNews, now: number): Promise<void> {
    const secondsSince = (at: number | undefined): number | null =>
      at === undefined ? null : (now - at) / 1_000;
    await this.database.run(SQL.observe, [
      news.provider,
      news.rotation ?? null,
      news.lifetimeS !== undefined,
      news.lifetimeS ?? null,
      news.clockSkewS ?? null,
      news.error?.code ?? null,
      secondsSince(news.error?.at),
      secondsSince(news.workedAt),
    ]);
  }

  /** Adds to what the renewals of this hour came to. Those of the day before yesterday are forgotten. */
  async count({ provider, renewed, failed }: RenewalCount): Promise<void> {
    await this.database.run(SQL.countRenewals, [provider, renewed, failed]);
  }

  /** These client credentials are in force here: where nobody has seen them before, they are in use from now on. */
  async seeCredentials(provider: string, fingerprint: string): Promise<void> {
    await this.database.run(SQL.seeCredentials, [provider, fingerprint, CREDENTIALS_REMEMBERED]);
  }

  /** True where there was something to change. */
  async #change(statement: Statement, provider: string, actor: Actor, reason: string): Promise<boolean> {
    return this.database.transaction(async (run) => {
      const [row] = await run<{ endsMass: boolean }>(statement, [provider]);
      if (!row) return false;
      await this.audit.write(run, changeOfProvider(provider, actor, reason));
      if (row.endsMass) await this.outbox.write(run, eventOfProvider('provider.recovered', provider, null));
      return true;
    });
  }
}
