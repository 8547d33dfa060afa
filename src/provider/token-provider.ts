import type { SharedProviderSettings } from '../config/provider-settings.js';
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
  /** Whether the same refresh token goes on working, as far as this answer shows; null where there is none. */
  readonly refreshTokenKept: boolean | null;
  /** Monotonic milliseconds right before the request was sent: life counts from there. */
  readonly sentAt: number;
  /** The dialect that was understood; it is remembered per provider. */
  readonly dialect: string;
}

/** Our own codes for what went wrong; they are stored and shown, a provider's text never is. */
export type FailureCode =
  | 'invalid_grant'
  | 'no_refresh_token'
  | 'refused_without_code'
  | 'credential_refused'
  | 'client_refused'
  | 'request_refused'
  | 'endpoint_gone'
  | 'redirected'
  | 'private_address'
  | 'rate_limited'
  | 'server_error'
  | 'not_reached'
  | 'timed_out'
  | 'connection_lost'
  | 'malformed_answer'
  | 'answer_too_large'
  | 'token_missing'
  | 'lease_ran_out'
  | 'grant_unreadable'
  | 'internal_error';

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

/** A credential that an operator offers for keeping. */
export interface OfferedCredential {
  /** As renewals take it. */
  readonly grant: Secret;
  /** What makes it this credential, in one text: to tell whether it is kept twice. */
  readonly credential: Secret;
  /** False: keep it without asking the provider first. */
  readonly verify: boolean;
}

/**
 * The port: what the engine needs of a kind of provider. A kind reads its own dialect and keeps nothing; the engine
 * stores, decides and never knows a provider's name.
 */
export interface TokenProvider {
  readonly name: string;
  readonly kind: string;
  /** What it was configured with, as far as every kind has it. */
  readonly settings: SharedProviderSettings;
  /** The scopes that a grant should have; empty where the provider knows none. */
  readonly scopes: readonly string[];
  /** True where a dead grant may come to life by itself, since it is a stored credential and not a consent. */
  readonly mintsFromCredential: boolean;

  /** The header that carries a token to the provider. */
  header(accessToken: Secret): { readonly name: string; readonly value: string };

  /** Asks for a newer token. Never throws for what a provider answered; LeaseRanOut passes through. */
  renew(grant: Secret, context: RenewalContext): Promise<Outcome>;

  /**
   * Reads a credential as this kind's `PUT` offers it. Absent where a kind keeps none by hand. Throws Problem
   * `invalid_request`.
   */
  readCredential?(body: unknown): OfferedCredential;

  /** Distinguishes the client credentials in force, so that a corrected secret is tried at once. */
  credentialsInForce(): Secret;

  /** Where a seller connects this company again; null where that needs an operator. */
  reauthorizeUrl(companyId: string): string | null;
}
