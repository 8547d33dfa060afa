/** However few connections a provider has, this many may be refused: sellers do take their consent back. */
export const FEWEST_ALLOWED = 3;
const ALLOWED_PART = 0.01;

/** How many of a provider's connections may be refused within ten minutes before that says more of it than of them. */
export function allowedRefusals(connections: number): number {
  return Math.max(FEWEST_ALLOWED, Math.floor(connections * ALLOWED_PART));
}

/** More than are allowed: the provider errs, or somebody on the way there, and no grant is to die of it. */
export function isMassRefusal(refused: number, allowed: number): boolean {
  return refused > allowed;
}
