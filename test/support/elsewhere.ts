import type { Json } from './http.js';
import { API_KEY, API_SECRET, type World } from './world.js';

/** Who may hold a grant elsewhere; `crm` is a standard provider. */
export const IMPORTED = ['fynd', 'connect', 'crm'] as const;

export type Imported = (typeof IMPORTED)[number];

const CLIENT = { authorization: `Basic ${Buffer.from(`${API_KEY}:${API_SECRET}`).toString('base64')}` };
const OAUTH = { connect: 'connect', crm: 'oauth2' } as const;

/** The providers as a file has them. */
export function providersOf(world: World, more = ''): string {
  const { url } = world.simulator;
  return `
providers:
  fynd: { kind: fynd-platform, base_url: '${url}', api_key: ${API_KEY}, api_secret: ${API_SECRET}, scopes: [a] }
  connect:
    kind: oauth2
    authorize_url: ${url}/connect/oAuth/authorize
    token_url: ${url}/connect/v1/oauth2/token
    client_id: ${API_KEY}
    client_secret: ${API_SECRET}
    body: json
    base_url: ${url}/connect
  crm: { kind: oauth2, issuer: '${url}', client_id: ${API_KEY}, client_secret: ${API_SECRET}, scopes: [read] }
${more}`;
}

/** A grant as another system has obtained it: the same client, another redirect. */
export async function obtainElsewhere(
  world: World,
  provider: Imported,
  company: string,
): Promise<{ access_token: string; refresh_token: string }> {
  const { simulator } = world;
  let body: Json;
  if (provider === 'fynd') {
    const code = await simulator.consent(company, { client_id: API_KEY, scope: 'a' });
    const grant = { grant_type: 'authorization_code', code };
    ({ body } = await simulator.post(company, 'offline-token', grant, CLIENT.authorization));
  } else {
    const caller = simulator.oauth(OAUTH[provider]);
    const redirect_uri = 'https://elsewhere.example/callback';
    const code = await caller.consent({ client_id: API_KEY, redirect_uri });
    ({ body } = await caller.post({ grant_type: 'authorization_code', code, redirect_uri }, CLIENT));
  }
  const { access_token, refresh_token } = body;
  if (typeof access_token !== 'string' || typeof refresh_token !== 'string')
    throw new Error(JSON.stringify(body));
  return { access_token, refresh_token };
}

/** How the simulator calls it. */
export function simulated(provider: Imported): string {
  return provider === 'crm' ? 'oauth2' : provider;
}
