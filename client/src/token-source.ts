import type { BrokerToken } from './broker-token.js';

/** A token, and how to tell the broker that the provider has refused it. */
export interface TokenSource {
  get(): Promise<BrokerToken>;
  /** Resolves to the token that is current now: a newer one where there was one to be had. */
  reportRefused(token: BrokerToken): Promise<BrokerToken>;
}
