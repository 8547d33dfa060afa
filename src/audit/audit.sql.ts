/** The columns of the trail, in the order in which statements take them. */
const COLUMNS = [
  ['id', 'uuid'],
  ['at', 'timestamptz'],
  ['last_at', 'timestamptz'],
  ['count', 'integer'],
  ['actor', 'text'],
  ['action', 'text'],
  ['outcome', 'text'],
  ['resource', 'text'],
  ['connection_id', 'uuid'],
  ['token_version', 'integer'],
  ['token_fingerprint', 'text'],
  ['token_expires_at', 'timestamptz'],
  ['source_ip', 'inet'],
  ['key_id', 'text'],
  ['request_id', 'text'],
  ['reason', 'text'],
] as const;

const NAMES = COLUMNS.map(([name]) => name);
const GIVEN = NAMES.map((name) => (/^(last_)?at$/.test(name) ? `coalesce(${name}, broker_now())` : name));

/**
 * Its values are arrays, one element an event. What has no time yet is of now, by the database's clock. Written again, an
 * event counts no less than before: a statement that was given up may still be under way.
 */
const INSERT = `
  insert into audit_events (${NAMES.join(', ')})
  select ${GIVEN.join(', ')}
  from unnest(${COLUMNS.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ')}) as e (${NAMES.join(', ')})
  on conflict (at, id) do update set
    count = greatest(audit_events.count, excluded.count), last_at = greatest(audit_events.last_at, excluded.last_at)`;

/** Of events that may have no time yet: it returns which they have got. */
export const WRITE = { name: 'audit_write', text: `${INSERT} returning id, at` };

/** Of events with times, of which there may be thousands: it returns nothing that would have to be read. */
export const KEEP = { name: 'audit_keep', text: INSERT };

/** By which columns a statement traces what it has changed itself. */
type Traced = Partial<Record<(typeof NAMES)[number], string>>;

/** Writes events as a part of another statement: of the rows of `source`, with SQL for each column. */
export const trace = (source: string, values: Traced): string => `
  traced as (
    insert into audit_events (${Object.keys(values).join(', ')})
    select ${Object.values(values).join(', ')} from ${source})`;
