import { Secret } from '../shared/secret.js';

/** What a Fynd grant is made of. The document's dialect sends the code again, so it is kept beside the refresh token. */
export interface FyndGrant {
  /** Absent where the grant was obtained elsewhere. */
  readonly code?: string;
  readonly refresh_token?: string;
}

/** A grant that can be renewed. */
export type RenewableGrant = FyndGrant & { readonly refresh_token: string };

export function readGrant(grant: Secret): FyndGrant {
  return grant.revealJson<FyndGrant>();
}

export function sealable(grant: FyndGrant): Secret {
  return new Secret(JSON.stringify(grant));
}

/** The id in `current_user`, whose shape nobody outside Fynd knows: an object with `_id` or `id`, or the id itself. */
export function readUserId(user: unknown): string | null {
  const fields = typeof user === 'object' && user !== null ? (user as Record<string, unknown>) : {};
  const id = fields['_id'] ?? fields['id'] ?? fields['user_id'] ?? user;
  if (typeof id === 'number' && Number.isSafeInteger(id)) return String(id);
  return typeof id === 'string' && /^[\x21-\x7e]{1,200}$/.test(id) ? id : null;
}
