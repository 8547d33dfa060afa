import { ADMIN_KEY } from './surroundings.js';

/** Asks the API as an operator. Throws where it refuses. */
export async function askAsOperator(
  method: string,
  url: string,
  body: object,
): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' };
  const answer = await fetch(url, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`the broker refused ${method} ${url}: ${await answer.text()}`);
  return (await answer.json()) as Record<string, unknown>;
}

/** The keys of so many new clients with these permissions. */
export async function makeKeys(
  api: string,
  count: number,
  permissions: readonly { readonly action: string; readonly resource: string }[],
): Promise<string[]> {
  const keys: string[] = [];
  for (let number = 1; number <= count; number += 1) {
    const { key } = await askAsOperator('POST', `${api}/v1/clients`, {
      name: `caller-${number}`,
      permissions,
    });
    keys.push(String(key));
  }
  return keys;
}
