import { createHash, randomBytes } from 'node:crypto';

/** Part of everything secret that is minted here, so that a search through logs and dumps finds a leak. */
export const SECRET_MARKER = 'simulated-secret';

/** A new secret; `kind` tells people apart what they are looking at (`at`, `rt`, `code`, …). */
export function mintSecret(kind: string): string {
  return `${SECRET_MARKER}-${kind}-${randomBytes(18).toString('base64url')}`;
}

/** The first 12 hex digits of SHA-256: enough to compare two secrets, too little to use one. */
export function fingerprint(secret: string): string {
  return createHash('sha256').update(secret).digest('hex').slice(0, 12);
}

/** A token in the form of a JWT. Its last part is no signature but the marker, which base64 would hide elsewhere. */
export function mintJwt(claims: Readonly<Record<string, unknown>>): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const header = { alg: 'HS256', typ: 'JWT' };
  return `${encode(header)}.${encode({ ...claims, marker: SECRET_MARKER })}.${mintSecret('jwt')}`;
}
