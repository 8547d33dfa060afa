import type { SharedProviderSettings } from '../config/provider-settings.js';
import type { Subject } from '../shared/ids.js';
import type { Secret } from '../shared/secret.js';

/** A token as a provider issued it, read by its dialect. */
export interface IssuedToken {
  readonly accessToken: Secret;
  readonly tokenType: string;
  /** Seconds that it lives, counted from `sentAt`; null: it never expires. */
  readonly lifetimeSeconds: number | null;
  /** True where the provider told no usable lifetime, and the configured one stands in. */
  readonly lifetimeAssumed: boolean;
  /** The granted scopes; null where the answer does not say. */
  readonly scopes: readonly string[] | null;
  /** What the next renewal is made from, where it has changed; null keeps what is stored. */
  readonly grant: Secret | null;
  /** Whether the same refresh token goes on working, as far as this answer shows; null where there is none, or it does not show. */
  readonly refreshTokenKept: boolean | null;
  /** Monotonic milliseconds right before the request was sent: life counts from there. */
  readonly sentAt: number;
  /** The dialect that was understood; it is remembered per provider. */
  readonly dialect: string;
}

/** Our own codes for what went wrong; they are stored and shown, a provider's text never is. */
export const FAILURE_CODES = [
  'invalid_grant',
  'no_refresh_token',
  'refused_without_code',
  'credential_refused',
  'client_refused',
  'request_refused',
  'endpoint_gone',
  'metadata_refused',
  'redirected',
  'private_address',
  'rate_limited',
  'server_error',
  'not_reached',
  'timed_out',
  'connection_lost',
  'malformed_answer',
  'answer_too_large',
  'token_missing',
  'lease_ran_out',
  'grant_unreadable',
  'internal_error',
] as const;

export type FailureCode = (typeof FAILURE_CODES)[number];

/** What asking a provider came to. Failures are values: each lies in one of the fault domains of the engine. */
export type Outcome =
  | { readonly kind: 'issued'; readonly token: IssuedToken }
  /** The grant is dead, surely. */
  | { readonly kind: 'grant_refused'; readonly code: FailureCode }
  /** The grant may be dead: an answer without a known code. */
  | { readonly kind: 'grant_doubtful'; readonly code: FailureCode }
  /** The provider refuses our registration; no grant is to blame. */
  | { readonly kind: 'misconfigured'; readonly code: FailureCode }
  /** Nothing is known of the grant. `mayHaveActed`: the request may have been carried out all the same. */
  | {
      readonly kind: 'unavailable';
      readonly code: FailureCode;
      readonly mayHaveActed: boolean;
      readonly retryAfterSeconds: number | null;
    };

/** What a renewal knows beside the grant. */
export interface RenewalContext {
  readonly companyId: string;
  /** The dialect that last worked with this provider; null while none has. */
  readonly knownDialect: string | null;
  /** Throws LeaseRanOut where too little of the lease is left to send: called right before every request. */
  readonly beforeSending: () => void;
}

/** Thrown by `beforeSending`: the holder was stopped for too long and must not spend anything. */
export class LeaseRanOut extends Error {}

/** The types of token that people make in a seller portal. */
export const CREDENTIAL_TYPES = ['personal', 'service', 'base', 'test'] as const;

export type CredentialType = (typeof CREDENTIAL_TYPES)[number];

/** A token that was offered and not asked for. */
export type OfferedToken = Pick<
  IssuedToken,
  'accessToken' | 'tokenType' | 'lifetimeSeconds' | 'lifetimeAssumed'
>;

/** A grant that an operator offers for keeping: a credential that a person made, or one obtained elsewhere. */
export interface OfferedGrant {
  /** As renewals take it; null where nothing renews what is offered. */
  readonly grant: Secret | null;
  /** What makes it this one, in one text: to tell whether it is kept twice. Null where all would be the same. */
  readonly credential: Secret | null;
  /** A person made it, and is to make another in time. */
  readonly madeByHand: boolean;
  /** The token that was offered with it; null where there is none. */
  readonly token: OfferedToken | null;
  /** The scopes that it has as far as is known; null: what is stored stays. */
  readonly scopes: readonly string[] | null;
  /** Whether the provider has to mint a token from it before it is kept. */
  readonly verify: boolean;
  /** Keep it and do not renew it: somebody else still does. */
  readonly paused?: boolean;
  readonly type?: CredentialType;
  readonly sharedExternally?: boolean;
  /** When the token ends, to the millisecond as a person said it; else its lifetime counts. */
  readonly expiresAt?: Date | null;
}

/** What became of a revocation at the provider. */
export interface UpstreamRevocation {
  /** `owed`: the provider could not be told yet. `unsupported`: it has no way to be told. */
  readonly upstream: 'revoked' | 'owed' | 'unsupported';
  /** False where a token that was handed out stays good until it expires. */
  readonly accessTokenRevoked: boolean;
}

/**
 * The port: what the engine needs of a kind of provider. A kind reads its own dialect and keeps nothing; the engine
 * stores, decides and never knows a provider's name. docs/providers.md tells how to write one.
 */
export interface TokenProvider {
  readonly name: string;
  readonly kind: string;
  /** What it was configured with, as far as every kind has it. */
  readonly settings: SharedProviderSettings;
  /** The scopes that a grant should have; empty where the provider knows none. */
  readonly scopes: readonly string[];
  /** False where nothing but a person makes a new token: the schedule has nothing to do, and a 401 is an alarm. */
  readonly renews: boolean;
  /** True where a person made the secret by which this provider knows the broker, and is to make another in time. */
  readonly hasClientSecret: boolean;
  /** True where a dead grant may come to life by itself, since it is a stored credential and not a consent. */
  readonly mintsFromCredential: boolean;

  /** The header that carries a token to the provider. */
  header(accessToken: Secret): { readonly name: string; readonly value: string };

  /** Asks for a newer token. Never throws for what a provider answered; LeaseRanOut passes through. */
  renew(grant: Secret, context: RenewalContext): Promise<Outcome>;

  /** Reads what this kind's `PUT` offers. Absent where a kind keeps nothing by hand. Throws Problem `invalid_request`. */
  readOffer?(body: unknown, subject: Subject): OfferedGrant;

  /** Tells the provider that a grant and its token are not wanted any more. Absent where it has no way to be told. */
  revoke?(grant: Secret | null, accessToken: Secret | null): Promise<UpstreamRevocation>;

  /** Distinguishes the client credentials in force, so that a corrected secret is tried at once. */
  credentialsInForce(): Secret;

  /**
   * Where a seller connects this company again, with these scopes beside the configured ones; null where that needs an
   * operator.
   */
  reauthorizeUrl(companyId: string, scopes: readonly string[]): Promise<string | null>;
}
