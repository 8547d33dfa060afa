import { readFileSync } from 'node:fs';

/** The company that development connects by itself, with a credential at the company and one at a location. */
export const DEMO_COMPANY = '1';
export const DEMO_LOCATION = '10';

const CREDENTIALS = [
  [`companies/${DEMO_COMPANY}`, { username: 'demo-company', password: 'demo-company-token' }],
  [
    `companies/${DEMO_COMPANY}/locations/${DEMO_LOCATION}`,
    { username: 'demo-location', password: 'demo-location-token' },
  ],
] as const;

const ANSWERS_WITHIN_MS = 15_000;

/** Connects the demo company to Konnect through the broker's own API, where it is not connected yet. */
export async function connectDemoCompany(api: string, env: NodeJS.ProcessEnv): Promise<void> {
  const key = env.ADMIN_KEY || readFileSync(env.ADMIN_KEY_FILE ?? '', 'utf8').trim();
  for (const [place, credential] of CREDENTIALS) {
    const token = await ask(`${api}/v1/tokens/konnect/${place}`, key, 'GET');
    if (token.status !== 404) continue;
    const kept = await ask(`${api}/v1/connections/konnect/${place}`, key, 'PUT', credential);
    if (!kept.ok)
      throw new Error(`PUT /v1/connections/konnect/${place} was answered ${await reasonOf(kept)}`);
  }
}

function ask(url: string, key: string, method: string, body?: object): Promise<Response> {
  return fetch(url, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(ANSWERS_WITHIN_MS),
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
}

async function reasonOf(answer: Response): Promise<string> {
  const problem: unknown = await answer.json().catch(() => undefined);
  const named =
    typeof problem === 'object' && problem && 'code' in problem && typeof problem.code === 'string';
  return named ? `${answer.status} ${String(problem.code)}` : String(answer.status);
}
