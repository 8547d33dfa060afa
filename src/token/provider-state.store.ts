import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import type { ProviderNews } from '../provider/observations.js';
import { SQL } from './provider-state.sql.js';

/** What all replicas know of a provider. */
export interface ProviderState {
  /** The dialect in which it last renewed; null while it never did. */
  readonly renewalDialect: string | null;
  readonly misconfigured: boolean;
  /** An operator has paused it. */
  readonly paused: boolean;
}

/** A provider's state with all that it was seen to do; null is: not seen yet. */
export interface ObservedProvider extends ProviderState {
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

/** Whether a provider may be asked now. A misconfigured one is probed by one connection at a time. */
export type Gate =
  | { readonly kind: 'open'; readonly state: ProviderState }
  | { readonly kind: 'probe'; readonly state: ProviderState }
  | { readonly kind: 'closed'; readonly because: 'paused' | 'misconfigured' };

/** Seconds between two probes of a misconfigured provider: at most two calls each, so at most four a minute. */
const PROBE_EVERY_S = 30;
/** A secret that nobody has used for this many others may come back as a new one. */
const CREDENTIALS_REMEMBERED = 10;

const UNKNOWN: ObservedProvider = {
  renewalDialect: null,
  misconfigured: false,
  paused: false,
  rotationObserved: null,
  lifetimeObservedS: null,
  clockSkewS: null,
  lastError: null,
  failing: false,
  credentialsSince: null,
};

/** The only SQL on `provider_states`. */
@Injectable()
export class ProviderStateStore {
  constructor(private readonly database: Database) {}

  async find(provider: string): Promise<ProviderState> {
    const [state] = await this.database.run<ProviderState & Record<string, unknown>>(SQL.find, [provider]);
    return state ?? UNKNOWN;
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

  /**
   * May this provider be asked? Not while it is paused. Where it is misconfigured, one caller every 30 s gets the probe,
   * and at once the first that comes with other credentials.
   */
  async gate(provider: string, credentialsFingerprint: string): Promise<Gate> {
    const state = await this.find(provider);
    if (state.paused) return { kind: 'closed', because: 'paused' };
    if (!state.misconfigured) return { kind: 'open', state };
    const probe = await this.database.run(SQL.takeProbe, [provider, credentialsFingerprint, PROBE_EVERY_S]);
    return probe.length > 0 ? { kind: 'probe', state } : { kind: 'closed', because: 'misconfigured' };
  }

  /** It renewed in this dialect: it is well, and the dialect is remembered. A pause stays. */
  async markWorking(provider: string, dialect: string): Promise<void> {
    await this.database.run(SQL.worked, [provider, dialect]);
  }

  /** It refuses our registration: nobody asks it until a probe tells otherwise. */
  async markMisconfigured(provider: string, code: string, credentialsFingerprint: string): Promise<void> {
    await this.database.run(SQL.misconfigured, [provider, code, credentialsFingerprint, PROBE_EVERY_S]);
  }

  /** True where it was not paused before. From the next look at the gate nobody claims anything of it. */
  async pause(provider: string): Promise<boolean> {
    return (await this.database.run(SQL.pause, [provider])).length > 0;
  }

  /** True where it was paused. */
  async resume(provider: string): Promise<boolean> {
    return (await this.database.run(SQL.resume, [provider])).length > 0;
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

  /** These client credentials are in force here: where nobody has seen them before, they are in use from now on. */
  async seeCredentials(provider: string, fingerprint: string): Promise<void> {
    await this.database.run(SQL.seeCredentials, [provider, fingerprint, CREDENTIALS_REMEMBERED]);
  }
}
