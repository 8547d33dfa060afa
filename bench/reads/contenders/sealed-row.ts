import { createDecipheriv, type KeyObject } from 'node:crypto';

/** The columns of an answer, and no more. */
export interface Row {
  readonly id: string;
  readonly sealed: Buffer;
  readonly token_type: string;
  readonly scopes: readonly string[];
  readonly version: number;
  readonly expires_at: Date;
  readonly renew_at: Date;
  readonly now: Date;
}

export const SELECT = {
  name: 'bare_select',
  text: `select id, sealed_token as sealed, token_type, scopes, token_version as version, expires_at, renew_at,
           broker_now() as now
         from connections where provider = $1 and company_id = $2 and location_id is null`,
};

/** Of a sealed token: format and key, nonce, ciphertext, tag. */
const HEADER_BYTES = 17;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Its token. */
export function open(key: KeyObject, { id, sealed }: Row, provider: string, companyId: string): string {
  const place = JSON.stringify(['connections', 'sealed_token', id, provider, companyId]);
  const [from, to] = [HEADER_BYTES + NONCE_BYTES, sealed.length - TAG_BYTES];
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(HEADER_BYTES, from), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.concat([sealed.subarray(0, HEADER_BYTES), Buffer.from(place)]));
  decipher.setAuthTag(sealed.subarray(to));
  return decipher.update(sealed.subarray(from, to), undefined, 'utf8') + decipher.final('utf8');
}
