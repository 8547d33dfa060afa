import { randomBytes, randomUUID } from 'node:crypto';
import { Secret } from '#broker/shared/secret.js';
import { placeOf } from '#broker/token/connection.js';
import type { Insides } from './insides.js';
import { PROVIDER } from './surroundings.js';

const BATCH = 2_000;

const INSERT = {
  text: `insert into connections (id, provider, company_id, status, sealed_grant, token_version, sealed_token, token_type,
           token_fingerprint, issued_at, expires_at, renewed_lifetime_s, renew_at, last_renewed_at)
         select id, $1, company_id, 'active', sealed_grant, 1, sealed_token, 'Bearer',
           fingerprint, broker_now(), broker_now() + interval '1 day', 86400, broker_now() + interval '16 hours',
           broker_now()
         from unnest($2::uuid[], $3::text[], $4::bytea[], $5::bytea[], $6::text[])
           as made (id, company_id, sealed_grant, sealed_token, fingerprint)`,
};

/** Connections whose grants really open: a credential each, sealed for its row. None of them is due today. */
export async function fillSealed(
  { database, vault }: Insides,
  count: number,
  tell: (done: number) => void,
): Promise<void> {
  for (let done = 0; done < count; done += BATCH) {
    const rows = Array.from({ length: Math.min(BATCH, count - done) }, (_, index) => {
      const companyId = String(done + index + 1);
      const row = { id: randomUUID(), provider: PROVIDER, companyId };
      const secret = (kind: string): Secret =>
        new Secret(`test-secret-${kind}-${randomBytes(18).toString('base64url')}`);
      const credential = { username: `store-${companyId}`, password: secret('password').reveal() };
      const token = secret('token');
      return {
        ...row,
        grant: vault.seal(new Secret(JSON.stringify(credential)), placeOf(row, 'sealed_grant')),
        token: vault.seal(token, placeOf(row, 'sealed_token')),
        fingerprint: vault.fingerprint(token),
      };
    });
    await database.run(INSERT, [
      PROVIDER,
      rows.map(({ id }) => id),
      rows.map(({ companyId }) => companyId),
      rows.map(({ grant }) => grant),
      rows.map(({ token }) => token),
      rows.map(({ fingerprint }) => fingerprint),
    ]);
    tell(done + rows.length);
  }
}
