import type { World } from '../world.js';
import { groupBy } from './group-by.js';

/** A token version, or a status, that a connection came to. */
export interface LoggedVersion {
  readonly connectionId: string;
  /** Milliseconds since the epoch, on the clock that the world has moved. */
  readonly at: number;
  readonly tokenVersion: number;
  readonly grantVersion: number;
  readonly status: string;
}

/** A record beside the broker's tables of every version that was ever committed, in order. */
export async function installVersionLog(world: World): Promise<void> {
  await world.sql(`
    create table fault_versions (
      seq bigserial primary key, at timestamptz not null, connection_id uuid not null,
      token_version integer not null, grant_version integer not null, status text not null);
    create function log_fault_version() returns trigger language plpgsql as $$
      begin
        if tg_op = 'UPDATE' and (old.token_version, old.grant_version, old.status)
             is not distinct from (new.token_version, new.grant_version, new.status) then
          return new;
        end if;
        insert into fault_versions (at, connection_id, token_version, grant_version, status)
        values (clock_timestamp() + (broker_now() - statement_timestamp()), new.id,
                new.token_version, new.grant_version, new.status);
        return new;
      end $$;
    create trigger fault_versions after insert or update on connections
      for each row execute function log_fault_version()`);
}

/** What was logged of these connections, by connection, oldest first. */
export async function readVersionLog(
  world: World,
  ids: readonly string[],
): Promise<Map<string, LoggedVersion[]>> {
  const rows = await world.sql<LoggedVersion>(
    `select connection_id as "connectionId", extract(epoch from at)::float8 * 1000 as at,
            token_version as "tokenVersion", grant_version as "grantVersion", status
     from fault_versions where connection_id = any($1::uuid[]) order by seq`,
    [ids],
  );
  return groupBy(rows, ({ connectionId }) => connectionId);
}

/** True where a version went back, was left out or came twice. */
export function isOutOfOrder(versions: readonly LoggedVersion[]): boolean {
  return versions.some((next, index) => {
    const last = versions[index - 1];
    if (!last) return false;
    const step = next.tokenVersion - last.tokenVersion;
    return step < 0 || step > 1 || next.grantVersion < last.grantVersion;
  });
}

/** When each new version was committed. */
export function committedAt(versions: readonly LoggedVersion[]): number[] {
  return versions
    .filter(({ tokenVersion }, index) => index > 0 && tokenVersion !== versions[index - 1]?.tokenVersion)
    .map(({ at }) => at);
}
