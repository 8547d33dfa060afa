import type { ApiAnswer, BrokerApi } from '../import/broker-api.js';

/** Whose connection is tried. */
export interface Trial {
  readonly provider: string;
  readonly company: string;
  readonly location?: string;
  /** A path at the provider that answers 401 to a token that is good no more. */
  readonly probe?: string;
}

/** What a provider was seen to do. Null: nobody can tell from this. */
export interface Seen {
  readonly kind: string;
  readonly dialect: string | null;
  /** `none`: the same refresh token goes on working. `rotating`: another one came with each renewal. */
  readonly rotation: 'none' | 'rotating' | null;
  /** Seconds; null where it does not say. */
  readonly lifetimeS: number | null;
  /** When the broker takes the token to end; null: never. */
  readonly endsAt: string | null;
  readonly isSameToken: boolean;
  readonly endsFormer: boolean | null;
}

/** It could not be tried, or did not work. */
export class TrialFailed extends Error {}

const PROBE_TIMEOUT_MS = 10_000;
/** Where Fynd answers about a company to anybody whose token lives. */
const FYND_PROBE = (company: string): string =>
  `/service/platform/configuration/v1.0/company/${company}/application`;

type Body = Readonly<Record<string, unknown>>;

/**
 * Renews a connection that the broker has, twice, by the broker itself: by its one door, under its lease and caps, and with its
 * traces. So nothing is sent that would not be sent anyway, and no spent refresh token at all. Throws TrialFailed.
 */
export async function tryProvider(api: BrokerApi, trial: Trial): Promise<Seen> {
  const { kind } = await providerOf(api, trial.provider);
  const id = await connectionOf(api, trial);
  const before = await tokenOf(api, trial);
  const probe = probeFor(kind, before, trial);
  const livedBefore = await isRefused(probe, before);
  if (livedBefore === true)
    throw new TrialFailed('the provider refuses the token in hand at that path, though it should be good');
  for (let time = 0; time < 2; time += 1) {
    const { last_error: failure } = await ask(api, 'POST', `/v1/connections/${id}/renew`);
    if (typeof failure === 'string')
      throw new TrialFailed(`the renewal failed (${failure}): GET /v1/connections/${id} says what to do`);
  }
  const [after, provider] = [await tokenOf(api, trial), await providerOf(api, trial.provider)];
  return {
    kind,
    dialect: textOf(provider['renewal_dialect']),
    rotation: provider['rotation_observed'] as Seen['rotation'],
    lifetimeS: provider['lifetime_observed'] as number | null,
    endsAt: textOf(after['expires_at']),
    isSameToken: after['access_token'] === before['access_token'],
    endsFormer: livedBefore === null ? null : await isRefused(probe, before),
  };
}

async function ask(api: BrokerApi, method: 'GET' | 'POST', path: string): Promise<Body> {
  const { status, body }: ApiAnswer = await api.send(method, path);
  if (status === 200) return body;
  throw new TrialFailed(`${method} ${path}: ${textOf(body['detail']) ?? `the broker answers ${status}`}`);
}

async function providerOf(api: BrokerApi, name: string): Promise<Body & { kind: string }> {
  const { items } = await ask(api, 'GET', '/v1/providers');
  const found = (items as Body[]).find((it) => it['name'] === name);
  if (!found) throw new TrialFailed(`the broker has no provider "${name}"`);
  return found as Body & { kind: string };
}

async function connectionOf(api: BrokerApi, { provider, company, location }: Trial): Promise<string> {
  const query = new URLSearchParams({ provider, company_id: company, limit: '200' });
  if (location !== undefined) query.set('location_id', location);
  const { items } = await ask(api, 'GET', `/v1/connections?${query.toString()}`);
  const found = (items as Body[]).find((it) => it['location_id'] === (location ?? null));
  if (found?.['status'] === 'active') return String(found['id']);
  throw new TrialFailed(
    found
      ? `its connection is ${String(found['status'])}: only an active one is tried`
      : 'the broker has no connection of that company: connect it first',
  );
}

function tokenOf(api: BrokerApi, { provider, company, location }: Trial): Promise<Body> {
  const at = location === undefined ? '' : `/locations/${location}`;
  return ask(api, 'GET', `/v1/tokens/${provider}/companies/${company}${at}?min_ttl=0`);
}

/** Below the address that the broker names for the token, and nowhere else. */
function probeFor(kind: string, token: Body, { company, probe }: Trial): URL | null {
  const path = probe ?? (kind === 'fynd-platform' ? FYND_PROBE(company) : null);
  const base = textOf(token['base_url']);
  if (path === null || base === null) return null;
  const url = new URL(`${base.replace(/\/+$/, '')}/${path.replace(/^\/+/, '')}`);
  if (url.origin !== new URL(base).origin) throw new TrialFailed('--probe must be a path at the provider');
  return url;
}

/** Whether the provider takes a token for one that is good no more; null where nobody can tell. */
async function isRefused(probe: URL | null, token: Body): Promise<boolean | null> {
  if (probe === null) return null;
  const { name, value } = token['header'] as { name: string; value: string };
  try {
    const response = await fetch(probe, {
      headers: { [name]: value },
      redirect: 'manual',
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    await response.body?.cancel();
    if (response.status === 401) return true;
    // A 403 is about a permission: whoever is told that, is known.
    return response.ok || response.status === 403 ? false : null;
  } catch {
    return null;
  }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
