import type { ObservedProvider } from './provider-state.store.js';
import type { ClosedBecause } from './room.js';

/** Why a provider is not asked. */
export interface HeldBack {
  readonly because: ClosedBecause;
  /** When it is asked again by itself; null where that is not known, or takes a person. */
  readonly until: Date | null;
}

/** All that holds a provider back, what takes a person first. */
export function heldBackBy(state: ObservedProvider): HeldBack[] {
  const { paused, massRefusedAt, misconfigured, leftAlone, leftAloneUntil } = state;
  const reasons: HeldBack[] = [];
  if (paused) reasons.push({ because: 'paused', until: null });
  if (massRefusedAt) reasons.push({ because: 'mass_refusals', until: null });
  if (misconfigured) reasons.push({ because: 'misconfigured', until: null });
  if (leftAlone) reasons.push({ because: leftAlone, until: leftAloneUntil });
  return reasons;
}

/** True where nothing of it is asked again until a person says so. */
export function needsPerson({ because }: HeldBack): boolean {
  return because === 'paused' || because === 'mass_refusals';
}
