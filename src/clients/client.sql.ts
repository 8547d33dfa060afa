const columns = `c.id, c.name, c.permissions, c.from_file as "fromFile", c.expires_at as "expiresAt",
  c.last_used_at as "lastUsedAt", c.created_by as "createdBy", c.created_at as "createdAt",
  case when c.issuer is not null then jsonb_build_object('issuer', c.issuer, 'subject', c.subject) end as workload`;

const KEYS = `coalesce((
    select jsonb_agg(jsonb_build_object('id', k.id, 'createdBy', k.created_by, 'createdAt', k.created_at,
      'expiresAt', k.expires_at, 'lastUsedAt', k.last_used_at) order by k.created_at, k.id)
    from client_keys k where k.client_id = c.id and k.expires_at > broker_now()), '[]') as keys`;

/** Null: it has no end. */
const leftS = (end: string): string =>
  `extract(epoch from ${end} - broker_now())::double precision as "leftS"`;

const isAlive = `c.deleted_at is null and (c.expires_at is null or c.expires_at > broker_now())`;

/** What is known of a client is forgotten with the commit, everywhere: elsewhere by this, here by `tells` beside it. */
const tell = (changed: string): string =>
  `select ${changed}.*, pg_notify('clients', ${changed}.id::text) from ${changed}`;

/** Rows are locked in order of id, so that replicas which write down the same ones wait for each other, and do not for ever. */
const touch = (table: string, idType: string): string => `
  with used as (
    select t.id, u.ago from ${table} t join unnest($1::${idType}[], $2::double precision[]) as u (id, ago) on u.id = t.id
    order by t.id for no key update of t)
  update ${table} t set last_used_at = greatest(t.last_used_at, broker_now() - make_interval(secs => used.ago))
  from used where t.id = used.id`;

/** Statements on `clients` and `client_keys`. */
export const CLIENT_SQL = {
  /** $1 the id of a key. */
  byKey: {
    name: 'client_by_key',
    text: `select ${columns}, k.hash,
             ${leftS('least(k.expires_at, c.expires_at)')} from client_keys k join clients c on c.id = k.client_id
           where k.id = $1 and k.expires_at > broker_now() and c.issuer is null and ${isAlive}`,
  },

  /** $1 issuer, $2 subject. */
  byWorkload: {
    name: 'client_by_workload',
    text: `select ${columns}, ${leftS('c.expires_at')} from clients c where c.issuer = $1 and c.subject = $2 and ${isAlive}`,
  },

  byId: { text: `select ${columns}, ${KEYS} from clients c where c.id = $1 and c.deleted_at is null` },

  lock: { text: `select ${columns} from clients c where c.id = $1 and c.deleted_at is null for update` },

  /** In order of id, $2 of those after $1. */
  list: {
    text: `select ${columns}, ${KEYS} from clients c
           where c.deleted_at is null and ($1::uuid is null or c.id > $1) order by c.id limit $2`,
  },

  /** Others are told: its workload may have been refused a moment ago. */
  insert: {
    text: `with made as (
             insert into clients as c (id, name, permissions, issuer, subject, expires_at, from_file, created_by)
             values ($1, $2, $3, $4, $5, $6, $7, $8) returning ${columns})
           ${tell('made')}`,
    tells: 'clients',
  },

  /** $1 of the key, $2 of the client, $3 hash, $4 by whom, $5 when it ends; null: after $6 days. */
  insertKey: {
    text: `insert into client_keys (id, client_id, hash, created_by, created_at, expires_at)
           values ($1, $2, $3, $4, broker_now(), coalesce($5, broker_now() + make_interval(days => $6)))
           returning id, created_by as "createdBy", created_at as "createdAt", expires_at as "expiresAt",
             last_used_at as "lastUsedAt"`,
  },

  /** All keys of $1 end within $2 seconds. */
  endKeys: {
    text: `with its as (
             select id from client_keys where client_id = $1 order by id for update),
           ended as (
             update client_keys k set expires_at = least(k.expires_at, broker_now() + make_interval(secs => $2))
             from its where k.id = its.id returning k.client_id as id)
           ${tell('ended')}`,
    tells: 'clients',
  },

  /** Also brings it back where it was gone. */
  update: {
    text: `with changed as (
             update clients c set permissions = $2, issuer = $3, subject = $4, expires_at = $5, updated_at = broker_now(),
               deleted_at = null
             where c.id = $1 returning c.id)
           ${tell('changed')}`,
    tells: 'clients',
  },

  /** $1 ids: each is about to get another workload, or none, and its own may be for one of the others. */
  freeWorkloads: { text: `update clients set issuer = null, subject = null where id = any($1::uuid[])` },

  delete: {
    text: `with gone as (
             update clients c set deleted_at = broker_now(), updated_at = broker_now()
             where c.id = $1 and c.deleted_at is null returning c.id)
           ${tell('gone')}`,
    tells: 'clients',
  },

  /** Those that are there, and those that went less than a day ago; of one name the one that is there, or went last, is the last. */
  ofFile: {
    text: `select ${columns}, c.deleted_at is not null as "isGone" from clients c
           where c.from_file and (c.deleted_at is null or c.deleted_at > broker_now() - interval '1 day')
           order by c.name, c.deleted_at nulls last`,
  },

  lockFile: { text: `select pg_advisory_xact_lock(hashtextextended('clients file', 0))` },

  /** When keys were last used: $1 their ids, $2 how many seconds ago. */
  touchKeys: { name: 'client_keys_used', text: touch('client_keys', 'text') },

  touchClients: { name: 'clients_used', text: touch('clients', 'uuid') },
} as const;
