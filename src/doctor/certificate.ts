import { connect as connectOpen, type LookupFunction } from 'node:net';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { PrivateAddressError } from '../provider/private-addresses.js';
import type { Clock } from '../shared/clock.js';
import type { Findings } from './finding.js';

const TIMEOUT_MS = 10_000;
const DUE_MS = 14 * 86_400_000;

/**
 * How a server shows who it is: until when its certificate is good, null over plain http, where it shows none; or why it is
 * not believed; or why nobody is there.
 */
export type Shown =
  { readonly until: Date | null } | { readonly refused: string } | { readonly away: string };

/** Connects as a call would, says nothing, and hangs up. `lookup` in place of the system's. */
export function shakeHands(url: URL, lookup?: LookupFunction): Promise<Shown> {
  return new Promise((resolve) => {
    const isTls = url.protocol === 'https:';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port || (isTls ? 443 : 80));
    const common = { host, port, timeout: TIMEOUT_MS, ...(lookup && { lookup }) };
    const there = (until: Date | null): void => {
      resolve({ until });
      socket.destroy();
    };
    const socket = isTls
      ? connect({ ...common, servername: host, rejectUnauthorized: true }, () => there(endOf()))
      : connectOpen(common, () => there(null));
    const endOf = (): Date => {
      const certificate: Partial<DetailedPeerCertificate> =
        'getPeerCertificate' in socket ? socket.getPeerCertificate(true) : {};
      return new Date(certificate.valid_to ?? NaN);
    };
    socket.on('timeout', () => socket.destroy(Object.assign(new Error(), { code: 'timed_out' })));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const { code = 'no answer' } = error;
      const isOfCertificate = /CERT|SIGNATURE|ALTNAME|SSL|TLS|ISSUER/.test(code);
      if (error instanceof PrivateAddressError) resolve({ away: 'private_address' });
      else resolve(isOfCertificate ? { refused: code } : { away: code });
    });
  });
}

/** What a certificate that was shown says for itself. */
export function judgeCertificate(
  shown: Exclude<Shown, { away: string }>,
  { host }: URL,
  findings: Findings,
  clock: Clock,
): void {
  if ('refused' in shown) {
    findings.problem(
      `the certificate of ${host} is not believed (${shown.refused})`,
      'Where its authority is your own, name it in NODE_EXTRA_CA_CERTS; else somebody is between.',
    );
  } else if (shown.until === null) findings.ok(`${host} takes connections`);
  else if (shown.until.getTime() - clock.nowMs() < DUE_MS) {
    findings.warn(
      `the certificate of ${host} ends at ${shown.until.toISOString()}`,
      'Ask those who run it to renew it.',
    );
  } else findings.ok(`the certificate of ${host} is believed, until ${shown.until.toISOString()}`);
}
