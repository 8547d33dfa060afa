import type { FastifyRequest } from 'fastify';

/** Where a browser stands: as the address bar has it. */
export interface Site {
  /** With its port, where that is not the usual one. */
  readonly host: string;
  readonly isHttps: boolean;
}

/**
 * Whether a page of our own sent this, as far as a browser tells, which says so in headers that no page can set. Whatever
 * changes something has to come with an `Origin`, and that has to be the host that was asked; a page over plain http speaks for none
 * over https. Where a proxy ends TLS and is not trusted, the request itself seems to be plain http.
 */
export function isSameOrigin({ method, headers, host, protocol }: FastifyRequest): boolean {
  const { origin, 'sec-fetch-site': site } = headers;
  if (site !== undefined && site !== 'same-origin') return false;
  if (origin === undefined) return method === 'GET' || method === 'HEAD';
  const from = siteOf(origin);
  return from !== undefined && from.host === host && (from.isHttps || protocol === 'http');
}

/** Undefined for `null`, which pages without an origin send, and for what is no origin at all. */
export function siteOf(origin: string): Site | undefined {
  const url = URL.parse(origin);
  if (!url || url.origin !== origin || !/^https?:$/.test(url.protocol)) return undefined;
  return { host: url.host, isHttps: url.protocol === 'https:' };
}
