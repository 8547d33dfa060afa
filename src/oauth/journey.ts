import type { FastifyReply } from 'fastify';
import type { ProblemCode } from '../shared/problem.js';
import type { Arrival, Departure } from './consent.service.js';
import { page, PAGE_HEADERS } from '../http/page.js';

/** The problems that a browser on its way through consent may be shown as a page. */
export const PAGES: readonly ProblemCode[] = [
  'invalid_request',
  'provider_misconfigured',
  'provider_protocol_error',
  'provider_unavailable',
  'store_unavailable',
];

/** Sends a browser to consent; where it came from stays with us. */
export function depart(reply: FastifyReply, { url, cookie }: Departure): void {
  void reply.header('set-cookie', cookie).header('referrer-policy', 'no-referrer').redirect(url, 302);
}

/** Sends a browser to where the seller wants to be, or shows that all is well where there is no such place. */
export function arrive(reply: FastifyReply, { url, cookie, companyId, title }: Arrival): void {
  void reply.header('set-cookie', cookie).header('referrer-policy', 'no-referrer');
  if (url !== null) return void reply.redirect(url, 302);
  const text = `${title} can now be used for company ${companyId}. You can close this page.`;
  void reply.headers(PAGE_HEADERS).send(page('The company is connected', text, null));
}
