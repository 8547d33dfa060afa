import type { Sealed } from '../../src/shared/secret.js';
import type { Connection } from '../../src/token/connection.js';

/** The moment at which the connections of unit tests are looked at. */
export const NOW = new Date('2026-01-01T00:00:00Z');

export function inSeconds(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1_000);
}

/** A healthy connection whose token lives 10 more minutes, with `changes` on top. */
export function aConnection(changes: Partial<Connection> = {}): Connection {
  return {
    id: 'id',
    provider: 'p',
    companyId: '42',
    locationId: null,
    now: NOW,
    status: 'active',
    statusReason: null,
    scopes: ['a'],
    grantVersion: 1,
    sealedGrant: Buffer.from('grant') as Sealed,
    tokenVersion: 1,
    sealedToken: Buffer.from('token') as Sealed,
    tokenType: 'Bearer',
    tokenFingerprint: 'f',
    issuedAt: NOW,
    expiresAt: inSeconds(600),
    renewedLifetimeS: null,
    renewAt: inSeconds(400),
    lastRenewedAt: null,
    lastError: null,
    consecutiveFailures: 0,
    refusals: 0,
    leaseOwner: null,
    leaseUntil: null,
    leaseEpoch: '1',
    attempts: 1,
    unknownOutcome: null,
    crashes: 0,
    rotateBy: null,
    credentialType: null,
    sharedExternally: false,
    upstreamRevocation: null,
    refreshTokenKept: null,
    reportedVersion: null,
    reportedAt: null,
    createdAt: NOW,
    updatedAt: NOW,
    ...changes,
  };
}
