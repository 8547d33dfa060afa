import type { FastifyInstance } from 'fastify';
import type { CommonSettings } from './common-settings.js';
import type { SettingsStore } from './settings-store.js';

/** What `POST /_simulator/introspect` tells of a token. */
export interface TokenState {
  readonly active: boolean;
  readonly kind: string;
  readonly company_id: string | null;
  readonly username: string | null;
  /** For providers whose grants have ids of their own. */
  readonly grant_id: string | null;
  /** Whole seconds, 0 when it is no longer active; null when it does not expire by itself. */
  readonly expires_in: number | null;
}

/** One simulated provider: its routes, its adjustable behaviour and its state. */
export interface SimulatedProvider {
  /** As it is called in faults, settings and the ledger. */
  readonly name: string;
  /** The operations that a fault may name. */
  readonly operations: readonly string[];
  readonly settings: SettingsStore<CommonSettings>;
  /** Adds the provider's own routes, and its own control routes under `/_simulator/{name}/`. */
  addRoutes(app: FastifyInstance): void;
  /** Null when the token was never minted here. */
  findToken(token: string): TokenState | null;
  /** Forgets every grant and token, and goes back to the first settings. */
  reset(): void;
}
