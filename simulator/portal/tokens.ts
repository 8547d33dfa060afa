import { BoundedMap } from '../bounded-map.js';
import type { SimulatorClock } from '../clock.js';
import type { TokenState } from '../provider.js';
import { mintSecret } from '../secrets.js';

const TOKEN_TYPES = ['personal', 'service', 'base', 'test'] as const;

/** What a person enters in the portal to make a token. */
export interface TokenRequest {
  readonly token_type: (typeof TOKEN_TYPES)[number];
  readonly scopes: readonly string[];
  /** Seconds; without it the token lives until it is revoked. */
  readonly expires_in?: number;
  /** Who made it: only for tests, to address it in faults and the ledger. */
  readonly username?: string;
}

export const tokenRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['token_type', 'scopes'],
  properties: {
    token_type: { enum: TOKEN_TYPES },
    scopes: { type: 'array', items: { type: 'string', minLength: 1 } },
    expires_in: { type: 'integer', minimum: 1, maximum: 315_360_000 },
    username: { type: 'string', minLength: 1 },
  },
};

export interface PortalToken {
  readonly id: string;
  readonly value: string;
  readonly token_type: TokenRequest['token_type'];
  readonly scopes: readonly string[];
  readonly username: string | null;
  /** Ms since the epoch; null: never. */
  readonly expiresAt: number | null;
  isRevoked: boolean;
}

const KEPT_TOKENS = 200_000;

/** The tokens that were made in the portal. */
export class PortalTokens {
  private readonly byValue = new BoundedMap<PortalToken>(KEPT_TOKENS);
  private readonly byId = new BoundedMap<PortalToken>(KEPT_TOKENS);
  private count = 0;

  constructor(private readonly clock: SimulatorClock) {}

  /** Makes a token; this is the one time that it is shown. */
  make(request: TokenRequest): object {
    const { token_type, scopes, expires_in } = request;
    const username = request.username ?? null;
    const id = `portal-token-${++this.count}`;
    const expiresAt = expires_in === undefined ? null : this.clock.now() + expires_in * 1000;
    const value = mintSecret('portal');
    const token = { id, value, token_type, scopes, username, expiresAt, isRevoked: false };
    this.byValue.set(value, token);
    this.byId.set(id, token);
    const expires_at = expiresAt === null ? null : new Date(expiresAt).toISOString();
    return { id, token: value, token_type, scopes, expires_at };
  }

  /** False when there is no such token. */
  revoke(id: string): boolean {
    const token = this.byId.get(id);
    if (token !== undefined) token.isRevoked = true;
    return token !== undefined;
  }

  get(value: string): PortalToken | null {
    return this.byValue.get(value) ?? null;
  }

  isAlive({ isRevoked, expiresAt }: PortalToken): boolean {
    return !isRevoked && (expiresAt === null || expiresAt > this.clock.now());
  }

  /** A personal token may do whatever its person may. */
  opens({ token_type, scopes }: PortalToken, wanted: readonly string[]): boolean {
    return token_type === 'personal' || wanted.every((scope) => scopes.includes(scope));
  }

  find(value: string): TokenState | null {
    const token = this.get(value);
    if (token === null) return null;
    const { token_type, username, id, expiresAt } = token;
    const active = this.isAlive(token);
    const left = active && expiresAt !== null ? Math.floor((expiresAt - this.clock.now()) / 1000) : null;
    return {
      active,
      kind: token_type,
      company_id: null,
      username,
      grant_id: id,
      expires_in: active ? left : 0,
    };
  }

  reset(): void {
    this.byValue.clear();
    this.byId.clear();
    this.count = 0;
  }
}
