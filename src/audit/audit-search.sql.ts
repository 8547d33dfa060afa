import { LAST_CONNECTION } from './audit-query.js';

/**
 * What was read within [$from, $to] in whole or in part: a folded event is as long as its minute, so that none that began
 * earlier can reach into it.
 */
const within = (from: string, to: string): string => `
  (${from}::timestamptz is null or (e.at >= ${from}::timestamptz - interval '1 minute' and e.last_at >= ${from}::timestamptz))
  and (${to}::timestamptz is null or e.at <= ${to}::timestamptz)`;

/** In the place of the connection that a session's token has none of, as in the index. */
const NO_CONNECTION = `'${LAST_CONNECTION}'::uuid`;
const CONNECTION = `coalesce(e.connection_id, ${NO_CONNECTION})`;
const IS_TOKEN = `${CONNECTION} = token.connection and e.token_version = token.version
                    and e.token_fingerprint = token.fingerprint`;

/**
 * The first, in this order, of the tokens that the actors got: what was handed out has no reason. Of each actor by itself,
 * so that the index has the order.
 */
const ofActors = (columns: string, condition: string, order: string): string => `
             select found.* from unnest($1::text[]) as whose (id) cross join lateral (
               select ${columns} from audit_events e
               where e.actor = whose.id and e.outcome = 'allowed' and e.reason is null and e.token_version is not null
                 and ${condition} and ${within('$2', '$3')}
               order by ${order} limit 1) found
             order by ${order} limit 1`;

/** Questions to the trail. */
export const SEARCH_SQL = {
  clientsNamed: { text: `select id::text from clients where name = $1 or id::text = $1` },

  /** $1 actors (null: any), $2 to $5 what else it is to be, $6 and $7 when, $8 and $9 where the page before ended, $10 how many. */
  find: {
    text: `select e.id, e.at, e.last_at, e.count, e.actor, c.name as actor_name, e.action, e.outcome, e.resource, e.connection_id,
             e.token_version, e.token_fingerprint, host(e.source_ip) as source_ip, e.key_id, e.request_id, e.reason,
             (extract(epoch from e.at) * 1000000)::bigint::text as us
           from audit_events e left join clients c on c.id::text = e.actor
           where ($1::text[] is null or e.actor = any($1)) and ($2::text is null or e.action = $2)
             and ($3::text is null or e.outcome = $3) and ($4::uuid is null or e.connection_id = $4)
             and ($5::integer is null or e.token_version = $5) and ${within('$6', '$7')}
             and ($8::bigint is null
               or (e.at, e.id) < (timestamptz 'epoch' + $8::bigint * interval '1 microsecond', $9::uuid))
           order by e.at desc, e.id desc limit $10`,
  },

  /**
   * By token, from one to the next in the order of its index, whatever lies between them: $1 actors, $2 and $3 when, $4 to $6
   * the token where the page before ended, $7 how many. Its end is the connection's own as long as that has the same
   * token, since it may have been moved meanwhile; else the one that it was last handed out with, unless the provider
   * has ended it before.
   */
  exposure: {
    text: `with recursive token as (
             select $4::uuid as connection, $5::integer as version, $6::text as fingerprint, ''::text as resource,
               null::timestamptz as at, null::timestamptz as last_at, null::timestamptz as expires_at, 0 as place
             union all
             select next.*, token.place + 1 from token cross join lateral (${ofActors(
               `${CONNECTION} as connection, e.token_version as version, e.token_fingerprint as fingerprint, e.resource,
                 e.at, e.last_at, e.token_expires_at as expires_at`,
               `(${CONNECTION}, e.token_version, e.token_fingerprint) < (token.connection, token.version, token.fingerprint)`,
               'connection desc, version desc, fingerprint desc, at desc',
             )}) next
             where token.place < $7)
           select nullif(token.connection, ${NO_CONNECTION}) as connection_id, token.resource, token.version as token_version,
             token.fingerprint as token_fingerprint, oldest.at as first_at, token.last_at,
             nullif(valid.until, 'infinity') as valid_until, valid.until > broker_now() as still_valid
           from token
             cross join lateral (${ofActors('e.at', IS_TOKEN, 'at')}) oldest
             left join connections c on c.id = token.connection
             cross join lateral (
               select least(
                 coalesce(case when c.token_fingerprint = token.fingerprint and c.token_version = token.version
                               then c.expires_at else token.expires_at end, 'infinity'),
                 (select min(ended.at) from audit_events ended
                  where ended.connection_id = token.connection and ended.token_version = token.version
                    and ended.reason = 'token_ended')) as until) valid
           where token.place > 0 order by token.place`,
  },
} as const;
