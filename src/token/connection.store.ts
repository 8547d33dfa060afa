import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Database, type Run } from '../database/database.js';
import type { UpstreamRevocation } from '../provider/token-provider.js';
import type { Subject } from '../shared/ids.js';
import { Metrics } from '../telemetry/metrics.js';
import {
  isLeased,
  ROTATION_DUE_S,
  type ClaimedConnection,
  type Connection,
  type ConnectionStatus,
} from './connection.js';
import { SQL } from './connection.sql.js';
import { OUTSIDE_SQL } from './outside-change.sql.js';
import type { AdoptedGrant, KeptRenewal, KeptToken, NotAdopted } from './kept-grant.js';
import type { FailureSettlement } from './transition.js';

export interface ListFilter {
  readonly provider: string | null;
  readonly companyId: string | null;
  readonly locationId: string | null;
  readonly status: string | null;
  readonly rotation: 'due' | 'overdue' | null;
  readonly afterId: string | null;
  readonly limit: number;
}

/** A row that was written, and the status that it had until then. */
type Kept = Connection & { readonly formerStatus: ConnectionStatus };

const LOCK = { text: `select pg_advisory_xact_lock(hashtextextended($1, 0))` };

/** All that changes `connections`. It stores and returns what is sealed, and opens nothing. */
@Injectable()
export class ConnectionStore {
  /** Names this process in the leases that it takes. */
  readonly #owner = randomUUID();

  constructor(
    private readonly database: Database,
    private readonly metrics: Metrics,
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
    const subject = [provider, companyId, locationId];
    return this.database.run<Connection>(SQL.list, [
      ...subject,
      status,
      afterId,
      limit,
      rotation,
      ROTATION_DUE_S,
    ]);
  }

  /** Takes the lease; undefined where it is held, or there is nothing to renew (any more), or a backoff is not over. */
  async claim(
    id: string,
    wanting: number,
    leaseS: number,
    force: boolean,
  ): Promise<ClaimedConnection | undefined> {
    const [row] = await this.database.run<ClaimedConnection>(SQL.claim, [
      id,
      this.#owner,
      leaseS,
      wanting,
      force,
    ]);
    return row;
  }

  /** Takes the leases of up to `limit` due connections of a provider. */
  async claimDue(provider: string, leaseS: number, limit: number): Promise<ClaimedConnection[]> {
    return this.database.run<ClaimedConnection>(SQL.claimDue, [provider, this.#owner, leaseS, limit]);
  }

  /** Takes the lease of one due connection, a random one. */
  async claimAnyDue(provider: string, leaseS: number): Promise<ClaimedConnection[]> {
    return this.database.run<ClaimedConnection>(SQL.claimAnyDue, [provider, this.#owner, leaseS, 1]);
  }

  /** Undefined where the fence says no: somebody changed the grant, or kept a newer token, meanwhile. */
  async keepToken(claimed: ClaimedConnection, renewal: KeptRenewal): Promise<Connection | undefined> {
    const [row] = await this.database.run<Kept>(SQL.keepToken, [
      claimed.id,
      claimed.leaseEpoch,
      claimed.tokenVersion,
      claimed.grantVersion,
      ...tokenValues(renewal),
      renewal.scopes,
      renewal.sealedGrant,
      renewal.refreshTokenKept,
    ]);
    return row && this.#moved(row.formerStatus, row);
  }

  /** Undefined where the lease is somebody else's by now. */
  async keepFailure(claimed: ClaimedConnection, settled: FailureSettlement): Promise<Connection | undefined> {
    const [row] = await this.database.run<Kept>(SQL.keepFailure, [
      claimed.id,
      claimed.leaseEpoch,
      settled.status,
      settled.statusReason,
      settled.lastError,
      settled.consecutiveFailures,
      settled.refusals,
      settled.unknownOutcome,
      settled.renewInS,
    ]);
    return row && this.#moved(row.formerStatus, row);
  }

  /** Gives back a lease under which nothing was sent; `unknown` keeps what the holder before left open. */
  async release(
    claimed: ClaimedConnection,
    unknown: ClaimedConnection['unknownOutcome'],
  ): Promise<Connection | undefined> {
    const [row] = await this.database.run<Connection>(SQL.release, [claimed.id, claimed.leaseEpoch, unknown]);
    return row;
  }

  /**
   * Keeps a grant from outside: makes the row or takes the one that is there for ever, and raises both fences. `seal`
   * gets the row as it was, locked, to whose id what is sealed is bound; null from it keeps the row as it is.
   */
  async adopt(
    subject: Subject,
    seal: (row: Connection) => AdoptedGrant | null,
  ): Promise<{ connection: Connection; created: boolean } | NotAdopted> {
    const { provider, companyId, locationId } = subject;
    let former: ConnectionStatus | undefined;
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
      const [connection] = await run<Connection>(
        grant.token ? OUTSIDE_SQL.adoptToken : OUTSIDE_SQL.adoptGrant,
        adoptedValues(row.id, grant),
      );
      if (!connection) throw new Error('the row that was just locked is gone');
      if (inserted.length === 0) former = row.status;
      return { connection, created: inserted.length > 0 };
    });
    if (typeof adopted !== 'string' && former) this.#moved(former, adopted.connection);
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
    judged?: Connection,
  ): Promise<Connection | undefined> {
    let from: ConnectionStatus | undefined;
    const revoked = await this.database.transaction(async (run) => {
      const [former] = await run<Connection>(OUTSIDE_SQL.lockById, [id]);
      if (!former || (judged && !isAsJudged(former, judged))) return undefined;
      from = former.status;
      if (former.status === 'revoked') return former;
      const upstream = await prepare(former, run);
      return (await run<Connection>(OUTSIDE_SQL.revoke, [id, reason, upstream]))[0];
    });
    return revoked && from && this.#moved(from, revoked);
  }

  /** Notes what the provider was told; undefined where it is not revoked (any more). */
  async noteRevocation(
    id: string,
    { upstream, accessTokenRevoked }: UpstreamRevocation,
  ): Promise<Connection | undefined> {
    const values = [id, upstream, accessTokenRevoked];
    return (await this.database.run<Connection>(OUTSIDE_SQL.noteRevocation, values))[0];
  }

  /** Undefined where there is nothing to pause: dead, revoked or paused already. */
  async pause(id: string): Promise<Connection | undefined> {
    const [row] = await this.database.run<Connection>(OUTSIDE_SQL.pause, [id]);
    return row && this.#moved(undefined, row);
  }

  /** Undefined where it was not paused. */
  async resume(id: string): Promise<Connection | undefined> {
    const [row] = await this.database.run<Connection>(OUTSIDE_SQL.resume, [id]);
    return row && this.#moved('paused', row);
  }

  /** A token that nothing renews was refused. Undefined where this version is not the current one, or not in use. */
  async markSuspect(id: string, version: number): Promise<Connection | undefined> {
    const [row] = await this.database.run<Connection>(OUTSIDE_SQL.markSuspect, [id, version]);
    // It is marked once a version, and stays paused where it was.
    return row?.status === 'suspect' ? this.#moved('active', row) : row;
  }

  /** Ends what nothing renews and has expired; those that it was. */
  async lapse(provider: string): Promise<Connection[]> {
    const lapsed = await this.database.run<Connection>(OUTSIDE_SQL.lapse, [provider]);
    for (const row of lapsed) this.#moved(undefined, row);
    return lapsed;
  }

  /** True where this report may open a renewal; false where one did so too short a time ago, or the version is not current. */
  async acceptReport(id: string, version: number): Promise<boolean> {
    return (await this.database.run(SQL.acceptReport, [id, version])).length > 0;
  }

  async markReported(id: string, version: number): Promise<void> {
    await this.database.run(SQL.markReported, [id, version]);
  }

  /** Counts a status that was committed and that it did not have before: each by whoever made it so, and nobody else. */
  #moved(former: ConnectionStatus | undefined, row: Connection): Connection {
    if (row.status !== former) this.metrics.statusChanged(row.provider, row.status);
    return row;
  }
}

function isAsJudged(row: Connection, judged: Connection): boolean {
  return row.leaseEpoch === judged.leaseEpoch && row.tokenVersion === judged.tokenVersion && !isLeased(row);
}

function adoptedValues(id: string, grant: AdoptedGrant): unknown[] {
  const { sealedGrant, credentialFingerprint, rotateAfterS, scopes, paused, credentialType, token } = grant;
  const values = [id, sealedGrant, credentialFingerprint, rotateAfterS, scopes, paused, credentialType];
  values.push(grant.sharedExternally);
  if (!token) return values;
  return [...values, ...tokenValues(token), token.expiresAt, token.minted ? token.lifetimeS : null];
}

function tokenValues(token: KeptToken): unknown[] {
  const { sealedToken, tokenType, fingerprint, ageS, lifetimeS, renewAfterS } = token;
  return [sealedToken, tokenType, fingerprint, ageS, lifetimeS, renewAfterS];
}
