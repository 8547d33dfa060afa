import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { type RunningSimulator, startSimulator } from '../../simulator/simulator.js';
import { BASIC, type Json, landing, type Told, told } from './told.js';
import { OAuthCaller, type OAuthName } from './oauth-caller.js';

export { BASIC, type Json, landing, type Told, told };

/** Where the simulator tells an extension what happened, and whether it signs that. */
export interface Webhook {
  readonly notify?: string;
  readonly sign?: boolean;
}

export interface Installed {
  readonly code: string;
  readonly refresh: string;
  readonly access: string;
  readonly body: Json;
}

/** Starts a simulator for the suite that calls this, and sets it back before each test. */
export function useSimulator(): SimulatorCaller {
  let running: RunningSimulator;
  const caller = new SimulatorCaller(() => running.url);
  beforeAll(async () => {
    running = await startSimulator({ port: 0 });
  });
  beforeEach(() => caller.control('POST', 'reset'));
  afterAll(() => running.close());
  return caller;
}

/** Resolves when the condition holds; the test's own time limit ends the wait. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Speaks to a running simulator as an extension, a seller's browser and a test do. */
export class SimulatorCaller {
  constructor(private readonly origin: () => string) {}

  get url(): string {
    return this.origin();
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, { headers, redirect: 'manual' });
  }

  async control(method: string, path: string, body?: Json): Promise<Told> {
    const json = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    return told(await fetch(`${this.url}/_simulator/${path}`, { method, ...(body && json) }));
  }

  fault(body: Json): Promise<Told> {
    return this.control('POST', 'faults', body);
  }

  settings(provider: string, body: Json): Promise<Told> {
    return this.control('PUT', `settings/${provider}`, body);
  }

  async ledger(query = ''): Promise<{ entries: Json[]; counters: Json }> {
    return (await this.control('GET', `ledger${query}`)).body as unknown as {
      entries: Json[];
      counters: Json;
    };
  }

  /** What became of a token that this simulator minted. */
  async introspect(token: unknown): Promise<Json> {
    return (await this.control('POST', 'introspect', { token })).body;
  }

  /** Where a seller's browser is sent to. */
  authorizeUrl(company: string, query: Record<string, string> = {}): string {
    const asked = {
      client_id: 'demo-key',
      redirect_uri: 'http://127.0.0.1:8081/fp/auth',
      response_type: 'code',
      scope: 'company/profile,company/products',
      state: 'state-1',
      ...query,
    };
    return `${this.url}${oauth(company, 'authorize')}?${new URLSearchParams(asked).toString()}`;
  }

  authorize(company: string, query?: Record<string, string>): Promise<Response> {
    return fetch(this.authorizeUrl(company, query), { redirect: 'manual' });
  }

  /** The code of an approved consent. */
  async consent(company: string, query?: Record<string, string>): Promise<string> {
    return landing(await this.authorize(company, query)).get('code') ?? '';
  }

  async post(company: string, endpoint: string, fields: Json, authorization = BASIC): Promise<Told> {
    const headers = { authorization, 'content-type': 'application/json' };
    const url = `${this.url}${oauth(company, endpoint)}`;
    return told(await fetch(url, { method: 'POST', headers, body: JSON.stringify(fields) }));
  }

  exchange(company: string, code: string, endpoint = 'offline-token'): Promise<Told> {
    return this.post(company, endpoint, { grant_type: 'authorization_code', code });
  }

  async install(company: string): Promise<Installed> {
    const code = await this.consent(company);
    const { body } = await this.exchange(company, code);
    return { code, refresh: String(body['refresh_token']), access: String(body['access_token']), body };
  }

  /** A renewal as Fynd's libraries send it: a form. */
  async renew(company: string, refresh_token: string): Promise<Told> {
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token });
    const url = `${this.url}${oauth(company, 'token')}`;
    return told(await fetch(url, { method: 'POST', headers: { authorization: BASIC }, body }));
  }

  /** A renewal as Fynd's documentation has it. */
  renewAsDocumented(company: string, refresh_token: string, code: string): Promise<Told> {
    return this.post(company, 'offline-token', { grant_type: 'authorization_code', code, refresh_token });
  }

  /** The status of a call to Fynd's API. */
  async resource(token: unknown, path = 'configuration/v1.0/application'): Promise<number> {
    return (await this.get(`/service/platform/${path}`, { authorization: `Bearer ${String(token)}` })).status;
  }

  /** A company uninstalls; `notify` has the simulator call a webhook of the extension. */
  uninstall(company: string | number, webhook: Webhook = {}): Promise<Told> {
    return this.control('POST', 'fynd/uninstall', { company_id: company, ...webhook });
  }

  /** A company installs without a browser; the answer has the code that the webhook got. */
  autoInstall(company: string | number, webhook: Webhook = {}): Promise<Told> {
    return this.control('POST', 'fynd/auto-install', { company_id: company, ...webhook });
  }

  /** The OAuth 2 provider of that name, as its client and a browser speak to it. */
  oauth(provider: OAuthName): OAuthCaller {
    return new OAuthCaller(() => this.url, provider);
  }

  /** A token as a seller makes it by hand in the portal. */
  async makePortalToken(
    request: Json = {},
  ): Promise<{ id: string; token: string; expires_at: string | null }> {
    const made = await this.control('POST', 'portal/tokens', {
      token_type: 'service',
      scopes: ['orders'],
      ...request,
    });
    if (made.status !== 201) throw new Error(`the portal made no token: ${JSON.stringify(made.body)}`);
    return made.body as { id: string; token: string; expires_at: string | null };
  }

  /** Ends a token of the portal at once. */
  revokePortalToken(id: string): Promise<Told> {
    return this.control('DELETE', `portal/tokens/${id}`);
  }

  /** A call to the portal's API that needs these scopes. */
  async portal(token: string | null, ...scopes: string[]): Promise<Told> {
    const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
    const query = new URLSearchParams(scopes.map((scope): [string, string] => ['scope', scope]));
    return told(await this.get(`/portal/v1/resource?${query.toString()}`, headers));
  }

  async konnect(query: Record<string, string>): Promise<Told> {
    return told(await this.get(`/aggregator/v1/token?${new URLSearchParams(query).toString()}`));
  }
}

function oauth(company: string, step: string): string {
  return `/service/panel/authentication/v1.0/company/${company}/oauth/${step}`;
}
