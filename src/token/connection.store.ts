import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import type { Subject } from '../shared/ids.js';
import type { Sealed } from '../shared/secret.js';
import type { ClaimedConnection, Connection } from './connection.js';
import { SQL } from './connection.sql.js';
import type { FailureSettlement } from './transition.js';

/** A token ready to be kept: sealed for its row, its times relative to now. */
export interface KeptToken {
  readonly sealedToken: Sealed;
  readonly tokenType: string;
  readonly fingerprint: string;
  /** Seconds since the request that brought it was sent. */
  readonly ageS: number;
  /** Seconds that it lives from then; null: it never expires. */
  readonly lifetimeS: number | null;
  /** Seconds from then until it is to be renewed; null: never. */
  readonly renewAfterS: number | null;
}

/** What a renewal may bring beside its token. Null keeps what is stored. */
export interface KeptRenewal extends KeptToken {
  readonly scopes: readonly string[] | null;
  readonly sealedGrant: Sealed | null;
  readonly refreshTokenKept: boolean | null;
}

/** A grant from outside the engine, sealed for its row. */
export interface AdoptedGrant {
  readonly sealedGrant: Sealed;
  /** Of a credential that a person made; null for a grant that a provider made. */
  readonly credentialFingerprint: string | null;
  readonly scopes: readonly string[];
  /** Null where no token came with it. */
  readonly token: (KeptToken & { readonly minted: boolean }) | null;
}

export interface ListFilter {
  readonly provider: string | null;
  readonly companyId: string | null;
  readonly locationId: string | null;
  readonly status: string | null;
  readonly afterId: string | null;
  readonly limit: number;
}

/** The only SQL on `connections`. It stores and returns what is sealed, and opens nothing. */
@Injectable()
export class ConnectionStore {
  /** Names this process in the leases that it takes. */
  readonly #owner = randomUUID();

  constructor(private readonly database: Database) {}

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
    const { provider, companyId, locationId, status, afterId, limit } = filter;
    return this.database.run<Connection>(SQL.list, [provider, companyId, locationId, status, afterId, limit]);
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
    const [row] = await this.database.run<Connection>(SQL.keepToken, [
      claimed.id,
      claimed.leaseEpoch,
      claimed.tokenVersion,
      claimed.grantVersion,
      ...tokenValues(renewal),
      renewal.scopes,
      renewal.sealedGrant,
      renewal.refreshTokenKept,
    ]);
    return row;
  }

  /** Undefined where the lease is somebody else's by now. */
  async keepFailure(claimed: ClaimedConnection, settled: FailureSettlement): Promise<Connection | undefined> {
    const [row] = await this.database.run<Connection>(SQL.keepFailure, [
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
    return row;
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
   * gets the row as it was, locked, to whose id what is sealed is bound. Resolves to null where the same credential is kept at the
   * other level of this company, where it would be one level's right in the other's disguise.
   */
  async adopt(
    subject: Subject,
    seal: (row: Connection) => AdoptedGrant,
  ): Promise<{ connection: Connection; created: boolean } | null> {
    const { provider, companyId, locationId } = subject;
    return this.database.transaction(async (run) => {
      // One at a time per company, or two levels could each take the same credential and not see the other.
      await run({ text: `select pg_advisory_xact_lock(hashtextextended($1, 0))` }, [
        `adopt ${provider} ${companyId}`,
      ]);
      const inserted = await run<{ id: string }>(SQL.ensure, [randomUUID(), provider, companyId, locationId]);
      const [row] = await run<Connection>(SQL.lockSubject, [provider, companyId, locationId]);
      if (!row) throw new Error('the row that was just made sure of is gone');
      const grant = seal(row);
      if (grant.credentialFingerprint !== null) {
        const elsewhere = await run(SQL.credentialElsewhere, [
          provider,
          companyId,
          grant.credentialFingerprint,
          locationId,
        ]);
        if (elsewhere.length > 0) {
          if (inserted.length > 0) await run({ text: 'delete from connections where id = $1' }, [row.id]);
          return null;
        }
      }
      const base = [row.id, grant.sealedGrant, grant.credentialFingerprint];
      const [connection] = grant.token
        ? await run<Connection>(SQL.adoptToken, [
            ...base,
            grant.scopes,
            ...tokenValues(grant.token),
            grant.token.minted ? grant.token.lifetimeS : null,
          ])
        : await run<Connection>(SQL.adoptCredential, base);
      if (!connection) throw new Error('the row that was just locked is gone');
      return { connection, created: inserted.length > 0 };
    });
  }

  async isCredentialElsewhere(
    { provider, companyId, locationId }: Subject,
    fingerprint: string,
  ): Promise<boolean> {
    const values = [provider, companyId, fingerprint, locationId];
    return (await this.database.run(SQL.credentialElsewhere, values)).length > 0;
  }

  /** Undefined where it was revoked before. */
  async revoke(id: string, reason: string): Promise<Connection | undefined> {
    const [row] = await this.database.run<Connection>(SQL.revoke, [id, reason]);
    return row;
  }

  /** True where this report may open a renewal; false where one did so too short a time ago, or the version is not current. */
  async acceptReport(id: string, version: number): Promise<boolean> {
    return (await this.database.run(SQL.acceptReport, [id, version])).length > 0;
  }

  async markReported(id: string, version: number): Promise<void> {
    await this.database.run(SQL.markReported, [id, version]);
  }
}

function tokenValues(token: KeptToken): unknown[] {
  const { sealedToken, tokenType, fingerprint, ageS, lifetimeS, renewAfterS } = token;
  return [sealedToken, tokenType, fingerprint, ageS, lifetimeS, renewAfterS];
}
