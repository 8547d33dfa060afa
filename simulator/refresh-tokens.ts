import { BoundedMap } from './bounded-map.js';
import type { SimulatorClock } from './clock.js';
import { mintSecret } from './secrets.js';
import type { SettingsStore } from './settings-store.js';

/** What becomes of a refresh token when it has been used. README.md explains each. */
export interface RotationSettings {
  readonly rotation: 'none' | 'grace' | 'strict';
  /** Seconds in which a replaced refresh token still works, under `grace`. */
  readonly grace_s: number;
  readonly reuse_revokes_family: boolean;
}

export const rotationDefaults: RotationSettings = {
  rotation: 'none',
  grace_s: 30,
  reuse_revokes_family: true,
};

/** JSON schema of the properties. */
export const rotationSchema = {
  rotation: { enum: ['none', 'grace', 'strict'] },
  grace_s: { type: 'number', minimum: 0 },
  reuse_revokes_family: { type: 'boolean' },
};

/** A grant that a refresh token keeps alive. */
export interface Renewable {
  /** The one that is good; null where there is none. */
  refreshToken: string | null;
}

/** A refresh token that was sent, and whose it is. `replaced`: by an earlier renewal, too long ago to work. */
export interface Presented<Grant> {
  readonly grant: Grant;
  readonly state: 'current' | 'in_grace' | 'replaced';
}

const KEPT = 200_000;

/** The refresh tokens of one provider: one living token per grant, and those that a renewal has replaced. */
export class RefreshTokens<Grant extends Renewable> {
  private readonly living = new BoundedMap<Grant>(KEPT);
  private readonly replaced = new BoundedMap<{ grant: Grant; at: number }>(KEPT);
  private readonly revoked = new BoundedMap<Grant>(KEPT);

  constructor(
    private readonly settings: SettingsStore<RotationSettings>,
    private readonly clock: SimulatorClock,
  ) {}

  /** Gives a grant a refresh token, in place of the one that it may have. */
  issue(grant: Grant): void {
    grant.refreshToken = mintSecret('rt');
    this.living.set(grant.refreshToken, grant);
  }

  /** What a caller has in hand; null for what was never issued, or was revoked. */
  present(value: string): Presented<Grant> | null {
    const current = this.living.get(value);
    if (current !== undefined) return { grant: current, state: 'current' };
    const replaced = this.replaced.get(value);
    if (replaced === undefined) return null;
    const { grant, at } = replaced;
    const { rotation, grace_s } = this.settings.current;
    const isInTime = rotation === 'grace' && this.clock.now() - at <= grace_s * 1000;
    return { grant, state: isInTime && this.isRenewable(grant) ? 'in_grace' : 'replaced' };
  }

  /**
   * What a renewal does to the token that it used. Within grace the successor stays as it is, so that two callers who
   * renew at once end with the same refresh token.
   */
  use({ grant, state }: Presented<Grant>): void {
    if (state !== 'current' || this.settings.current.rotation === 'none') return;
    if (grant.refreshToken !== null) {
      this.living.delete(grant.refreshToken);
      this.replaced.set(grant.refreshToken, { grant, at: this.clock.now() });
    }
    this.issue(grant);
  }

  /** Ends a grant's refresh token. */
  revoke(grant: Grant): void {
    if (grant.refreshToken === null) return;
    this.living.delete(grant.refreshToken);
    this.revoked.set(grant.refreshToken, grant);
  }

  /** Whose token this is or was, and whether it still works; null when it was never issued. */
  find(value: string): { grant: Grant; active: boolean } | null {
    const presented = this.present(value);
    if (presented !== null) return { grant: presented.grant, active: presented.state !== 'replaced' };
    const grant = this.revoked.get(value);
    return grant === undefined ? null : { grant, active: false };
  }

  reset(): void {
    this.living.clear();
    this.replaced.clear();
    this.revoked.clear();
  }

  private isRenewable({ refreshToken }: Grant): boolean {
    return refreshToken !== null && this.living.has(refreshToken);
  }
}
