import type { ProviderSettings } from '../config/provider-settings.js';
import { ServerMetadata } from '../oauth/server-metadata.js';
import type { ProviderObservations } from '../provider/observations.js';
import type { Upstream, UpstreamRequest, UpstreamResult } from '../provider/upstream.js';
import type { Clock } from '../shared/clock.js';
import { judgeCertificate, shakeHands } from './certificate.js';
import { Findings, type Finding } from './finding.js';

/** The way out, as the broker itself has it. */
export interface WayOut {
  readonly upstream: Upstream;
  readonly observations: ProviderObservations;
  readonly clock: Clock;
}

const SKEW_TOLD_S = 5;
/** No more than this is corrected where an expiry is told as a time of day. */
const SKEW_CORRECTED_S = 300;

/** Whether a provider's token endpoint is there. It is asked without any credential, and so can do nothing but refuse. */
export async function checkProvider(
  settings: ProviderSettings,
  { upstream, observations, clock }: WayOut,
): Promise<readonly Finding[]> {
  const findings = new Findings('provider', settings.name);
  const request = await requestFor(settings, upstream, clock);
  if (request === 'no_endpoint') {
    findings.ok('people make its tokens: nothing is asked of it');
    return findings.all;
  }
  if (typeof request === 'string') {
    findings.problem(
      `its metadata cannot be used (${request})`,
      'Check issuer; endpoints on another origin have to be written down: authorize_url, token_url.',
    );
    return findings.all;
  }
  const url = new URL(request.url);
  if (url.protocol === 'https:') await checkCertificate(url, findings, clock);
  if (findings.all.some(({ level }) => level === 'problem')) return findings.all;
  observations.take();
  judge(await upstream.ask(settings, request), url, findings);
  checkClock(observations.take()[0]?.clockSkewS, findings);
  return findings.all;
}

/** What has the endpoint answer, and nothing in it; or why there is none. */
async function requestFor(
  settings: ProviderSettings,
  upstream: Upstream,
  clock: Clock,
): Promise<UpstreamRequest | string> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  switch (settings.kind) {
    case 'portal':
      return 'no_endpoint';
    case 'konnect':
      return { method: settings.method, url: `${settings.baseUrl}${settings.tokenPath}` };
    case 'fynd-platform': {
      const path = '/service/panel/authentication/v1.0/company/1/oauth/offline-token';
      return { method: 'POST', url: `${settings.baseUrl}${path}`, headers, body: '' };
    }
    case 'oauth2': {
      const endpoints = await new ServerMetadata(settings, upstream, clock).endpoints();
      if (endpoints.kind !== 'found') return endpoints.code;
      return { method: 'POST', url: endpoints.token, headers, body: '' };
    }
  }
}

async function checkCertificate(url: URL, findings: Findings, clock: Clock): Promise<void> {
  const shown = await shakeHands(url);
  // That nobody is there is told by the request itself.
  if (!('away' in shown)) judgeCertificate(shown, url, findings, clock);
}

function judge(result: UpstreamResult, { host, pathname }: URL, findings: Findings): void {
  const address = `${host}${pathname}`;
  if (result.kind === 'failed') {
    const isPrivate = result.code === 'private_address';
    findings.problem(
      isPrivate ? `${host} leads to a private address` : `${host} does not answer (${result.code})`,
      isPrivate
        ? 'If that is meant, say allow_private: true in the providers file.'
        : 'Check its address, DNS, and whether this machine may connect to it.',
    );
  } else if (result.status === 404 || result.status === 410)
    findings.problem(`there is no token endpoint at ${address} (${result.status})`, 'Check its address.');
  else if (result.status >= 300 && result.status < 400)
    findings.problem(
      `${address} redirects (${result.status}), and no redirect is followed`,
      'Write down the address that it leads to, once you trust it.',
    );
  else if (result.status >= 500 || result.status === 429)
    findings.warn(`${address} answers ${result.status}`, 'It is there, and not well: try again later.');
  else if (result.json === undefined)
    findings.warn(
      `${address} answers ${result.status}, and not in JSON`,
      'Check its address: a token endpoint speaks JSON.',
    );
  else findings.ok(`${address} answers (${result.status} to a request without credentials)`);
}

function checkClock(skewS: number | undefined, findings: Findings): void {
  if (skewS === undefined) return;
  const what = `its clock is ${Math.abs(skewS)} s ${skewS < 0 ? 'behind' : 'ahead of'} this machine's`;
  const remedy = "See that this machine's clock is right (NTP); then it is theirs.";
  if (Math.abs(skewS) > SKEW_CORRECTED_S)
    findings.problem(`${what}, and no more than ${SKEW_CORRECTED_S} s are corrected`, remedy);
  else if (Math.abs(skewS) > SKEW_TOLD_S) findings.warn(what, remedy);
}
