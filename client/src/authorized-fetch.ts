import type { BrokerToken } from './broker-token.js';
import { TokenBrokerError } from './token-broker-error.js';
import type { TokenSource } from './token-source.js';

/**
 * `fetch` with the token where it belongs. An address without an origin is one below the provider's `base_url`. After a
 * 401 the token is reported and, where that brings another, the request repeated once; never after a 403. No redirect is
 * followed: the answer is handed back as it is, since most headers would go along to wherever it leads.
 *
 * Throws a TokenBrokerError: `wrong_origin` for an address that the token is not for.
 */
export async function authorizedFetch(
  source: TokenSource,
  address: string | URL,
  init: RequestInit = {},
  fetch: typeof globalThis.fetch = globalThis.fetch,
): Promise<Response> {
  const token = await source.get();
  const url = resolve(token, address);
  const answer = await send(fetch, url, init, token);
  if (answer.status !== 401 || !isRepeatable(init.body)) return answer;
  const other = await source.reportRefused(token).catch(() => token);
  if (other.version === token.version) return answer;
  await answer.body?.cancel();
  return send(fetch, resolve(other, address), init, other);
}

function send(
  fetch: typeof globalThis.fetch,
  url: URL,
  init: RequestInit,
  { header }: BrokerToken,
): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set(header.name, header.value);
  return fetch(url, { ...init, headers, redirect: 'manual' });
}

/** A path is put behind that of `base_url`, which may have one of its own. */
function resolve(token: BrokerToken, address: string | URL): URL {
  const { baseUrl } = token;
  if (baseUrl === null)
    throw new TokenBrokerError(
      'wrong_origin',
      'the broker does not know where the tokens of this provider are good',
    );
  const isWhole = address instanceof URL || /^[a-z][a-z0-9+.-]*:/i.test(address);
  const url = isWhole
    ? new URL(address)
    : new URL(`${baseUrl.replace(/\/+$/, '')}/${String(address).replace(/^\/+/, '')}`);
  if (!token.belongsTo(url))
    throw new TokenBrokerError(
      'wrong_origin',
      `the token is for ${new URL(baseUrl).origin}, not for ${url.origin}`,
    );
  return url;
}

/** What can be read but once has been read. */
function isRepeatable(body: RequestInit['body']): boolean {
  return (
    !(body instanceof ReadableStream) &&
    !(typeof body === 'object' && body !== null && Symbol.asyncIterator in body)
  );
}
