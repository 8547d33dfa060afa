import { connect, type DetailedPeerCertificate } from 'node:tls';

const TIMEOUT_MS = 10_000;

/** How a server shows who it is: until when its certificate is good, or why it is not believed. */
export type Shown = { readonly until: Date } | { readonly refused: string };

/** Shakes hands as a call would, says nothing, and hangs up. Undefined where nobody is there to shake hands with. */
export function lookAtCertificate(url: URL): Promise<Shown | undefined> {
  return new Promise((resolve) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const socket = connect(
      { host, port: Number(url.port || 443), servername: host, timeout: TIMEOUT_MS },
      () => {
        const certificate: Partial<DetailedPeerCertificate> = socket.getPeerCertificate(true);
        resolve({ until: new Date(certificate.valid_to ?? NaN) });
        socket.destroy();
      },
    );
    socket.on('timeout', () => socket.destroy(new Error()));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const isOfCertificate = /CERT|SIGNATURE|ALTNAME|SSL|TLS|ISSUER/.test(error.code ?? '');
      resolve(isOfCertificate ? { refused: error.code ?? 'unknown' } : undefined);
    });
  });
}
