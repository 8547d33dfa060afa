import { PROVIDER } from '../engine/surroundings.js';
import type { CannedAnswer } from '../load/canned-answer.js';

/** Something that answers tokens, in a process of its own. */
export interface Contender {
  /** Of a company's token, but for the company's number at its end. */
  readonly url: string;
  readonly keys: readonly string[];
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/** Of the server's own making, or of each request. */
const NOT_CANNED = new Set(['connection', 'content-length', 'date', 'keep-alive', 'transfer-encoding']);

/** Where a server's tokens are, but for the company's number. */
export function tokensOf(origin: string): string {
  return `${origin}/v1/tokens/${PROVIDER}/companies/`;
}

/** A real answer, to be given by servers that have no work to do. */
export async function fetchAnswer({ url, keys }: Pick<Contender, 'url' | 'keys'>): Promise<CannedAnswer> {
  const answer = await fetch(`${url}1`, { headers: { authorization: `Bearer ${keys[0]}` } });
  const body = await answer.text();
  if (answer.status !== 200) throw new Error(`${url}1 answered ${answer.status}: ${body}`);
  const headers = Object.fromEntries([...answer.headers].filter(([name]) => !NOT_CANNED.has(name)));
  return { status: 200, headers, body };
}
