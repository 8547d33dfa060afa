/** The one client that is registered with every simulated provider that wants one. */
export interface ClientCredentials {
  readonly apiKey: string;
  readonly apiSecret: string;
}
