/** Bytes of that many, different in each row: nothing is ever opened, and nothing compresses. */
const bytes = (count: number, salt: string): string =>
  `decode(${Array.from({ length: Math.ceil(count / 16) }, (_, part) => `md5(i || '${salt}${part}')`).join(' || ')}, 'hex')`;

/** An id by which rows lie in no order, as random ones do, and by which they are found again. */
const idOf = (i: string): string => `md5('connection ' || ${i})::uuid`;

const CHUNK = `id in (select ${idOf('i')} from generate_series($1::integer, $2::integer) i)`;

/** Statements by which the tables of the claims are filled and kept as a situation wants them. */
export const CLAIM_SQL = {
  /**
   * $1 provider, $2 first and $3 last company. Sealed columns are as long as those of a password grant and a short token. Tokens
   * of a day, none of which becomes due before ten million of them are written and looked at.
   */
  fill: {
    text: `insert into connections (id, provider, company_id, status, sealed_grant, token_version, sealed_token, token_type,
             token_fingerprint, issued_at, expires_at, renewed_lifetime_s, renew_at, last_renewed_at)
           select ${idOf('i')}, $1, i, 'active', ${bytes(128, 'g')}, 1, ${bytes(112, 't')}, 'Bearer',
             left(md5(i || 'f'), 24), broker_now(), broker_now() + (18 + 6 * random()) * interval '1 hour', 86400,
             broker_now() + (10 + 6 * random()) * interval '1 hour', broker_now()
           from generate_series($2::integer, $3::integer) i`,
  },

  /** The provider has been asked for long: as many calls may be in flight as its settings allow. $2 how many. */
  wideOpen: {
    text: `insert into provider_states as s (provider, call_window) values ($1, $2)
           on conflict (provider) do update set call_window = excluded.call_window`,
  },

  /** $1 first and $2 last company. What is claimed and given back lies behind all of these, and is due, too. */
  makeAllDue: {
    text: `update connections set renew_at = broker_now() - random() * interval '20 hours',
             expires_at = broker_now() + (random() - 0.5) * interval '20 hours'
           where ${CHUNK}`,
  },

  /** $2 companies. */
  makeSomeDue: {
    text: `update connections set renew_at = broker_now() - random() * interval '1 second',
             expires_at = broker_now() + (14 + random()) * interval '1 minute'
           where provider = $1 and company_id = any($2::text[]) and location_id is null`,
  },

  find: {
    text: `select id from connections where provider = $1 and company_id = $2 and location_id is null`,
  },

  /** $1 ids, $2 whether they are due again at once. */
  giveBack: {
    text: `update connections set lease_owner = null, lease_until = null, attempts = 0, token_version = token_version + 1,
             issued_at = broker_now(), expires_at = broker_now() + interval '24 hours' + random() * interval '1 second',
             renew_at = broker_now() + case when $2 then interval '0' else (14 + 5 * random()) * interval '1 hour' end,
             last_renewed_at = broker_now()
           where id = any($1::uuid[])`,
  },
} as const;
