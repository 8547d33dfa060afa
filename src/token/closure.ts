/** Why nobody may ask a provider, however much is due. */
export const CLOSURES = ['paused', 'misconfigured', 'mass_refusals', 'rate_limited', 'unreachable'] as const;

export type Closure = (typeof CLOSURES)[number];

/** A provider that is held back. */
export interface HeldBack {
  readonly because: Closure;
  /** When it is asked again by itself; null where that is not known, or takes a person. */
  readonly until: Date | null;
}

/** True where nothing of it is asked again until a person says so. */
export function needsPerson({ because }: HeldBack): boolean {
  return because === 'paused' || because === 'mass_refusals';
}
