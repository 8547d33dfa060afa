import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { AuditEvent } from '../audit/audit-event.js';
import { AuditStore } from '../audit/audit.store.js';
import { Database, type Run, type Statement } from '../database/database.js';
import type { OutboxEvent } from '../outbox/outbox-event.js';
import { eventOf, Outbox } from '../outbox/outbox.store.js';
import type { UpstreamRevocation } from '../provider/token-provider.js';
import { BROKER, type Actor } from '../shared/actor.js';
import type { Subject } from '../shared/ids.js';
import { Metrics } from '../telemetry/metrics.js';
import { isLeased, ROTATION_DUE_S, type Connection } from './connection.js';
import type { ListFilter } from './connection-query.js';
import { SQL } from './connection.sql.js';
import { DEADLINE_SQL } from './deadline.sql.js';
import { OUTSIDE_SQL } from './outside-change.sql.js';
import { countMove } from './kept-row.js';
import { adoptRow } from './adopt-row.js';
import { toldOfAdoption } from './connection-events.js';
import { changeOf, changeOfProvider } from './connection-trail.js';
import type { AdoptedGrant, NotAdopted } from './kept-grant.js';
import { readable } from './readable.sql.js';
import { RecentWrites } from './recent-writes.js';

const LOCK = { text: `select pg_advisory_xact_lock(hashtextextended($1, 0))` };

/** Connections, and what changes them from outside of the engine. It stores and returns what is sealed, and opens nothing. */
@Injectable()
export class ConnectionStore {
  constructor(
    private readonly database: Database,
    private readonly recent: RecentWrites,
    private readonly metrics: Metrics,
    private readonly audit: AuditStore,
    private readonly outbox: Outbox,
  ) {}

  async findBySubject({ provider, companyId, locationId }: Subject): Promise<Connection | undefined> {
    const [row] =
      locationId === null
        ? await this.database.run<Connection>(SQL.findCompany, [provider, companyId])
        : await this.database.run<Connection>(SQL.findLocation, [provider, companyId, locationId]);
    return row;
  }

  async findById(id: string): Promise<Connection | undefined> {
    const [row] = await this.database.run<Connection>(SQL.findById, [id]);
    return row;
  }

  /** In order of id, at most `limit`, those after `afterId`. */
  async list(filter: ListFilter): Promise<Connection[]> {
    const { provider, companyId, locationId, status, rotation, afterId, limit } = filter;
    const values = [provider, companyId, locationId, status, afterId, limit, rotation, ROTATION_DUE_S];
    const condition = readable(filter.permissions, values.length + 1);
    return this.database.run<Connection>(SQL.list(condition.text), [...values, ...condition.values]);
  }

  /**
   * Keeps a grant from outside: makes the row or takes the one that is there for ever, and raises both fences. `seal`
   * gets the row as it was, locked, to whose id what is sealed is bound; null from it keeps the row as it is.
   */
  async adopt(
    subject: Subject,
    seal: (row: Connection) => AdoptedGrant | null,
    actor: Actor,
  ): Promise<{ connection: Connection; created: boolean } | NotAdopted> {
    const { provider, companyId, locationId } = subject;
    const adopted = await this.database.transaction(async (run) => {
      // One at a time per company, or two levels could each take the same credential and not see the other.
      await run(LOCK, [`adopt ${provider} ${companyId}`]);
      const inserted = await run<{ id: string }>(OUTSIDE_SQL.ensure, [
        randomUUID(),
        provider,
        companyId,
        locationId,
      ]);
      const [row] = await run<Connection>(OUTSIDE_SQL.lockSubject, [provider, companyId, locationId]);
      if (!row) throw new Error('the row that was just made sure of is gone');
      const grant = seal(row);
      if (!grant) return 'living';
      if (grant.credentialFingerprint !== null) {
        // A grant is looked for at all companies, which the lock above does not span.
        await run(LOCK, [`adopt ${provider} credential ${grant.credentialFingerprint}`]);
        const elsewhere = await run(OUTSIDE_SQL.credentialElsewhere, [
          provider,
          companyId,
          grant.credentialFingerprint,
          locationId,
          grant.rotateAfterS === null,
        ]);
        if (elsewhere.length > 0) {
          if (inserted.length > 0) await run({ text: 'delete from connections where id = $1' }, [row.id]);
          return 'kept_elsewhere';
        }
      }
      const connection = await adoptRow(run, row.id, grant);
      await this.audit.write(run, changeOf(connection, actor, inserted.length > 0 ? 'created' : 'replaced'));
      const told = toldOfAdoption(connection, row, inserted.length > 0);
      await this.#tellAdopted(run, connection, told);
      return { connection, created: inserted.length > 0, grant, former: row.status, told };
    });
    if (typeof adopted === 'string') return adopted;
    if (!adopted.created) countMove(this.metrics, adopted.connection, adopted.former);
    this.#rememberAdopted(subject, adopted.connection, adopted.grant, adopted.told);
    return adopted;
  }

  async isCredentialElsewhere(
    { provider, companyId, locationId }: Subject,
    fingerprint: string,
    anywhere: boolean,
  ): Promise<boolean> {
    const values = [provider, companyId, fingerprint, locationId, anywhere];
    return (await this.database.run(OUTSIDE_SQL.credentialElsewhere, values)).length > 0;
  }

  /**
   * Revokes and erases, once `prepare` has seen what was there, in the same transaction; it says what the provider was told
   * so far. One that was revoked before stays as it is. Undefined where there is no such connection, or it is not what was
   * `judged` any more: with a renewal out it is another token that counts.
   */
  async revoke(
    id: string,
    reason: string,
    prepare: (former: Connection, run: Run) => Promise<UpstreamRevocation['upstream']>,
    actor: Actor,
    judged?: Connection,
  ): Promise<Connection | undefined> {
    const revoked = await this.database.transaction(async (run) => {
      const [former] = await run<Connection>(OUTSIDE_SQL.lockById, [id]);
      if (!former || (judged && !isAsJudged(former, judged))) return undefined;
      if (former.status === 'revoked') return former;
      const upstream = await prepare(former, run);
      const [now] = await run<Connection>(OUTSIDE_SQL.revoke, [id, reason, upstream]);
      if (now)
        await this.audit.write(run, changeOf(now, actor, reason === 'uninstalled' ? reason : 'revoked'));
      const told = now ? [eventOf('connection.revoked', now)] : [];
      await this.outbox.write(run, ...told);
      return now && { ...now, former: former.status, told };
    });
    if (!revoked) return undefined;
    if ('former' in revoked) countMove(this.metrics, revoked, revoked.former);
    this.#rememberRevoked(revoked, 'told' in revoked ? revoked.told : []);
    return revoked;
  }

  /** Notes what the provider was told; undefined where it is not revoked (any more). */
  async noteRevocation(
    id: string,
    { upstream, accessTokenRevoked }: UpstreamRevocation,
  ): Promise<Connection | undefined> {
    return this.database.transaction(async (run) => {
      const [row] = await run<Connection>(OUTSIDE_SQL.noteRevocation, [id, upstream, accessTokenRevoked]);
      const ended = accessTokenRevoked ? 'token_ended' : 'grant_ended';
      if (row && upstream === 'revoked') await this.audit.write(run, changeOf(row, BROKER, ended));
      return row;
    });
  }

  /** Undefined where there is nothing to pause: dead, revoked or paused already. */
  async pause(id: string, actor: Actor): Promise<Connection | undefined> {
    const [row] = await this.#change(OUTSIDE_SQL.pause, [id], (paused) => changeOf(paused, actor, 'paused'));
    if (row) countMove(this.metrics, row, null);
    return row;
  }

  /** Undefined where it was not paused. */
  async resume(id: string, actor: Actor): Promise<Connection | undefined> {
    const [row] = await this.#change(OUTSIDE_SQL.resume, [id], (now) => changeOf(now, actor, 'resumed'));
    if (row) countMove(this.metrics, row, 'paused');
    return row;
  }

  /** A token that nothing renews was refused. Undefined where this version is not the current one, or not in use. */
  async markSuspect(id: string, version: number, actor: Actor): Promise<Connection | undefined> {
    const [row] = await this.#change(
      OUTSIDE_SQL.markSuspect,
      [id, version],
      (suspect) => ({ ...changeOf(suspect, actor, 'suspect'), action: 'token:report' }),
      (suspect) => [eventOf('connection.suspect', suspect)],
    );
    // Once a version, and what is paused stays so.
    if (row) countMove(this.metrics, row, 'paused');
    return row;
  }

  /** Has all that was declared dead since then tried once more; how many those are. */
  async revive(provider: string, since: Date, actor: Actor): Promise<number> {
    return this.database.transaction(async (run) => {
      const [row] = await run<{ revived: number }>(OUTSIDE_SQL.revive, [provider, since]);
      await this.audit.write(run, changeOfProvider(provider, actor, 'revived'));
      return row?.revived ?? 0;
    });
  }

  /** Erases the secrets of grants that have been dead for so long that nobody will revive them; how many those were. */
  async forgetDead(afterS: number): Promise<number> {
    const forgotten = await this.#change(OUTSIDE_SQL.forgetDead, [afterS], (row) =>
      changeOf(row, BROKER, 'forgotten'),
    );
    return forgotten.length;
  }

  /** Ends what nothing renews and has expired; those that it was. */
  async lapse(provider: string): Promise<Connection[]> {
    if ((await this.database.run(OUTSIDE_SQL.isLapsing, [provider])).length === 0) return [];
    const lapsed = await this.#change(
      OUTSIDE_SQL.lapse,
      [provider],
      (row) => changeOf(row, BROKER, 'expired'),
      (row) => [eventOf('connection.reauthorization_required', row)],
    );
    for (const row of lapsed) countMove(this.metrics, row, null);
    return lapsed;
  }

  /** True where this report may open a renewal; false where one did so too short a time ago, or the version is not current. */
  async acceptReport(id: string, version: number): Promise<boolean> {
    return (await this.database.run(SQL.acceptReport, [id, version])).length > 0;
  }

  async markReported(id: string, version: number): Promise<void> {
    await this.database.run(SQL.markReported, [id, version]);
  }

  /** Changes rows, says so in the trail of each, and to others where that is `told`. */
  async #change(
    statement: Statement,
    values: readonly unknown[],
    traceOf: (row: Connection) => AuditEvent,
    toldOf: (row: Connection) => OutboxEvent[] = () => [],
  ): Promise<Connection[]> {
    return this.database.transaction(async (run) => {
      const rows = await run<Connection>(statement, values);
      await this.audit.write(run, ...rows.map(traceOf));
      await this.outbox.write(run, ...rows.flatMap(toldOf));
      return rows;
    });
  }

  async #tellAdopted(run: Run, now: Connection, told: readonly OutboxEvent[]): Promise<void> {
    await this.outbox.write(run, ...told);
    await run(DEADLINE_SQL.remind, [now.id]);
  }

  /**
   * A seller's consent, or what a person made, may not be to be had again. What a failover forgot of the trail is not written
   * again; what others are told of it is, as the same event.
   */
  #rememberAdopted(
    subject: Subject,
    kept: Connection,
    grant: AdoptedGrant,
    told: readonly OutboxEvent[],
  ): void {
    const { provider, companyId, locationId } = subject;
    const { id, grantVersion } = kept;
    this.recent.remember({
      id,
      isThere: (row) => row !== undefined && row.grantVersion >= grantVersion,
      again: (sinceS) =>
        this.database.transaction(async (run) => {
          await run(OUTSIDE_SQL.ensure, [id, provider, companyId, locationId]);
          const [row] = await run<Connection>(OUTSIDE_SQL.lockById, [id]);
          if (!row || row.grantVersion >= grantVersion) return;
          const token = grant.token && { ...grant.token, ageS: grant.token.ageS + sinceS };
          await this.#tellAdopted(run, await adoptRow(run, id, { ...grant, token }), told);
        }),
    });
  }

  /** What was ended here must not come back. */
  #rememberRevoked(revoked: Connection, told: readonly OutboxEvent[]): void {
    const { id, grantVersion, statusReason, upstreamRevocation } = revoked;
    this.recent.remember({
      id,
      isThere: (row) => !row || row.status === 'revoked' || row.grantVersion >= grantVersion,
      again: () =>
        this.database.transaction(async (run) => {
          const rows = await run(OUTSIDE_SQL.revoke, [id, statusReason, upstreamRevocation]);
          if (rows.length > 0) await this.outbox.write(run, ...told);
        }),
    });
  }
}

function isAsJudged(row: Connection, judged: Connection): boolean {
  return row.leaseEpoch === judged.leaseEpoch && row.tokenVersion === judged.tokenVersion && !isLeased(row);
}
