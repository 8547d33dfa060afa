import type { StandingClock } from './clocks.js';

/** Seconds for which a refresh token that was used works on under `grace`: longer than a lease, by little. */
export const GRACE_S = 30;

/** What a provider really does with a refresh token that is sent a second time. */
export type Truth = 'none' | 'grace' | 'strict' | 'minting';

interface Grant {
  readonly family: number;
  /** The one that it was traded for. */
  readonly parent: string | null;
  /** When it was first used, in milliseconds; null: never. */
  usedAt: number | null;
  /** One that it was traded for has been used. */
  outlived: boolean;
}

/** What a provider gives for a grant that it takes. Null: the grant stays what it is. */
export interface Given {
  readonly token: string;
  readonly grant: string | null;
}

/** A provider's books: it knows of every grant whether it lives, whatever anybody was told of it. */
export class Grantor {
  readonly #grants = new Map<string, Grant>();
  readonly #dead = new Set<number>();
  /** The last token of each family, of which a provider may give the same again. */
  readonly #last = new Map<number, string>();
  readonly givenBack = new Set<string>();
  #serial = 0;

  constructor(
    readonly truth: Truth,
    private readonly clock: StandingClock,
  ) {}

  /** A seller consents, or a person makes a credential: a grant that stems from no other. */
  consent(): string {
    return this.#write(++this.#serial, null);
  }

  /** A token that comes with a consent. */
  mint(grant: string): string {
    const token = `test-secret-token-${++this.#serial}`;
    this.#last.set(this.#of(grant).family, token);
    return token;
  }

  /** Undefined for a grant that is dead, or dies of being sent again. */
  trade(grant: string): Given | undefined {
    if (!this.lives(grant)) {
      this.#dead.add(this.#of(grant).family);
      return undefined;
    }
    const known = this.#of(grant);
    const isRotated = this.truth === 'grace' || this.truth === 'strict';
    known.usedAt ??= this.clock.monotonic();
    const parent = known.parent === null ? undefined : this.#grants.get(known.parent);
    if (parent) parent.outlived = true;
    return { token: this.mint(grant), grant: isRotated ? this.#write(known.family, grant) : null };
  }

  /** The token that it gave last, where it gave one. */
  lastOf(grant: string): string | undefined {
    return this.#last.get(this.#of(grant).family);
  }

  /** Would it be taken? */
  lives(grant: string): boolean {
    const { family, usedAt, outlived } = this.#of(grant);
    if (this.#dead.has(family)) return false;
    if (this.truth === 'strict') return usedAt === null;
    if (this.truth !== 'grace') return true;
    return !outlived && (usedAt === null || this.clock.monotonic() - usedAt <= GRACE_S * 1_000);
  }

  /** The seller takes the consent back, or it is revoked. */
  end(grant: string): void {
    this.#dead.add(this.#of(grant).family);
  }

  #write(family: number, parent: string | null): string {
    const id = `test-secret-grant-${++this.#serial}`;
    this.#grants.set(id, { family, parent, usedAt: null, outlived: false });
    return id;
  }

  #of(grant: string): Grant {
    const known = this.#grants.get(grant);
    if (!known) throw new Error(`${grant} was sent, and nobody was ever given it`);
    return known;
  }
}

/** In which order a provider gave two tokens. */
export function serialOf(token: string): number {
  return Number(token.slice(token.lastIndexOf('-') + 1));
}
