/** The columns of the trail, as statements take them. */
const COLUMNS = [
  ['id', 'uuid'],
  ['at', 'float8'],
  ['last_at', 'float8'],
  ['count', 'integer'],
  ['actor', 'text'],
  ['action', 'text'],
  ['outcome', 'text'],
  ['resource', 'text'],
  ['connection_id', 'uuid'],
  ['token_version', 'integer'],
  ['token_fingerprint', 'text'],
  ['token_expires_at', 'float8'],
  ['source_ip', 'inet'],
  ['key_id', 'text'],
  ['request_id', 'text'],
  ['reason', 'text'],
] as const;

type Name = (typeof COLUMNS)[number][0];

const NAMES: readonly Name[] = COLUMNS.map(([name]) => name);

/** Milliseconds in, times out; what has no time yet is of now, by the database's clock. */
const GIVEN: Partial<Record<Name, string>> = {
  at: 'coalesce(to_timestamp(at / 1000), broker_now())',
  last_at: 'coalesce(to_timestamp(last_at / 1000), broker_now())',
  token_expires_at: 'to_timestamp(token_expires_at / 1000)',
};

/**
 * $1 events, as a JSON array of objects by the names of the columns. Written again, an event counts no less than before: a
 * statement that was given up may still be under way.
 */
const INSERT = `
  insert into audit_events (${NAMES.join(', ')})
  select ${NAMES.map((name) => GIVEN[name] ?? name).join(', ')}
  from json_to_recordset($1::json) as e (${COLUMNS.map(([name, type]) => `${name} ${type}`).join(', ')})
  on conflict (at, id) do update set
    count = greatest(audit_events.count, excluded.count), last_at = greatest(audit_events.last_at, excluded.last_at)`;

/** Of events that may have no time yet: it returns which they have got. */
export const WRITE = { name: 'audit_write', text: `${INSERT} returning id, at` };

/** Of events with times, of which there may be thousands: it returns nothing that would have to be read. */
export const KEEP = { name: 'audit_keep', text: INSERT };

/** By which columns a statement traces what it has changed itself. */
type Traced = Partial<Record<Name, string>>;

/** Writes events as a part of another statement: of the rows of `source`, with SQL for each column. */
export const trace = (source: string, values: Traced): string => `
  traced as (
    insert into audit_events (${Object.keys(values).join(', ')})
    select ${Object.values(values).join(', ')} from ${source})`;
