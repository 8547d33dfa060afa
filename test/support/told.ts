import type { Json } from './http.js';

export type { Json };

/** A JSON answer. */
export interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

/** The `Authorization` of the client that a simulator registers unless it is told otherwise. */
export const BASIC = `Basic ${Buffer.from('demo-key:demo-secret').toString('base64')}`;

export async function told(response: Response): Promise<Told> {
  return { status: response.status, headers: response.headers, body: (await response.json()) as Json };
}

/** The parameters of the address that a redirect leads to. */
export function landing(response: Response): URLSearchParams {
  return new URL(response.headers.get('location') ?? '').searchParams;
}
