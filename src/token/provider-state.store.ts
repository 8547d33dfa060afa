import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';

/** What all replicas know of a provider. */
export interface ProviderState {
  /** The dialect in which it last renewed; null while it never did. */
  readonly renewalDialect: string | null;
  readonly misconfigured: boolean;
}

/** Whether a provider may be asked now. A misconfigured one is probed by one connection at a time. */
export type Gate =
  | { readonly kind: 'open'; readonly state: ProviderState }
  | { readonly kind: 'probe'; readonly state: ProviderState }
  | { readonly kind: 'closed' };

/** Seconds between two probes of a misconfigured provider: at most two calls each, so at most four a minute. */
const PROBE_EVERY_S = 30;

const FIND = {
  name: 'provider_state',
  text: `select renewal_dialect as "renewalDialect", status = 'misconfigured' as misconfigured
         from provider_states where provider = $1`,
};
const LIST_MISCONFIGURED = {
  name: 'providers_misconfigured',
  text: `select provider from provider_states where status = 'misconfigured'`,
};
const TAKE_PROBE = {
  name: 'provider_take_probe',
  text: `update provider_states set
           probe_at = broker_now() + make_interval(secs => $3),
           credentials_tried = array_remove(credentials_tried, $2) || $2::text
         where provider = $1 and status = 'misconfigured'
           and (probe_at <= broker_now() or not $2 = any(credentials_tried))
         returning 1`,
};
const WORKED = {
  name: 'provider_worked',
  text: `insert into provider_states as s (provider, renewal_dialect) values ($1, $2)
         on conflict (provider) do update set
           renewal_dialect = excluded.renewal_dialect, status = 'ok', last_error = null, probe_at = null,
           credentials_tried = '{}',
           updated_at = broker_now()
         where s.renewal_dialect is distinct from excluded.renewal_dialect or s.status <> 'ok'`,
};
const MISCONFIGURED = {
  name: 'provider_misconfigured',
  text: `insert into provider_states as s (provider, status, last_error, credentials_tried, probe_at)
         values ($1, 'misconfigured', $2, array[$3::text], broker_now() + make_interval(secs => $4))
         on conflict (provider) do update set
           status = 'misconfigured', last_error = excluded.last_error, probe_at = excluded.probe_at,
           credentials_tried = array_remove(s.credentials_tried, $3::text) || $3::text,
           updated_at = broker_now()`,
};

/** The only SQL on `provider_states`. */
@Injectable()
export class ProviderStateStore {
  constructor(private readonly database: Database) {}

  async find(provider: string): Promise<ProviderState> {
    const [state] = await this.database.run<ProviderState & Record<string, unknown>>(FIND, [provider]);
    return state ?? { renewalDialect: null, misconfigured: false };
  }

  /** The names of those that refuse our registration. */
  async listMisconfigured(): Promise<string[]> {
    const rows = await this.database.run<{ provider: string }>(LIST_MISCONFIGURED);
    return rows.map(({ provider }) => provider);
  }

  /**
   * May this provider be asked? Where it is misconfigured, one caller every 30 s gets the probe, and at once the first
   * that comes with other credentials.
   */
  async gate(provider: string, credentialsFingerprint: string): Promise<Gate> {
    const state = await this.find(provider);
    if (!state.misconfigured) return { kind: 'open', state };
    const probe = await this.database.run(TAKE_PROBE, [provider, credentialsFingerprint, PROBE_EVERY_S]);
    return probe.length > 0 ? { kind: 'probe', state } : { kind: 'closed' };
  }

  /** It renewed in this dialect: it is well, and the dialect is remembered. */
  async markWorking(provider: string, dialect: string): Promise<void> {
    await this.database.run(WORKED, [provider, dialect]);
  }

  /** It refuses our registration: nobody asks it until a probe tells otherwise. */
  async markMisconfigured(provider: string, code: string, credentialsFingerprint: string): Promise<void> {
    await this.database.run(MISCONFIGURED, [provider, code, credentialsFingerprint, PROBE_EVERY_S]);
  }
}
