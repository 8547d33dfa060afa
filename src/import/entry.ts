/** Where a line, or a value under a key, stands in what is imported; counted from 1. */
export type Line = number;

/** What is to be kept for one company or location, as its line says. */
export interface Entry {
  readonly line: Line;
  readonly companyId: string;
  readonly locationId: string | null;
  /** A grant that somebody else may still be renewing, and not a credential from which tokens are made. */
  readonly isGrant: boolean;
  /** When the token that came with a grant ends; null where there is none, or nobody says. */
  readonly endsAt: Date | null;
  /** The body that has the broker keep it. Holds secrets. */
  offer(now: Date): Readonly<Record<string, unknown>>;
}

/** Why something is no matter of this import, though nothing is wrong with it. */
export const SKIPPED = {
  online: 'sessions of users, which end by themselves',
  no_session: 'values that are no sessions of the library',
  partner: 'sessions of organizations, which belong to no company',
  without_refresh_token: 'sessions without a refresh token: their sellers open the extension once more',
  another_extension: 'sessions of another extension',
  another_prefix: 'keys with another prefix',
  another_cluster: 'sessions of another cluster',
} as const;

export type SkipReason = keyof typeof SKIPPED;

/** What a line turned out to be. */
export type Found =
  | { readonly kind: 'entry'; readonly entry: Entry; readonly extension?: string }
  | { readonly kind: 'skipped'; readonly line: Line; readonly reason: SkipReason }
  | { readonly kind: 'mistake'; readonly line: Line; readonly message: string };

/** Reads all of it, from the start, each time that it is called. */
export type Source = () => AsyncIterable<Found>;

export function mistake(line: Line, message: string): Found {
  return { kind: 'mistake', line, message };
}
