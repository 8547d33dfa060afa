/** What the broker is told of a provider's refresh tokens: may the same one be sent twice? */
export const MODES = ['none', 'grace', 'strict', 'unknown'] as const;

export type Mode = (typeof MODES)[number];

/** Whether the whole suite runs, or the short form that belongs to `npm test`. */
export const IS_FULL = process.env['FAULTS'] === 'full';

/** Connections in flight each time. */
export const IN_FLIGHT = IS_FULL ? 50 : 10;

/** What a call may take where its lease is to run out: a replica that has just started leaves others' alone for twice as long. */
export const CALL_TIMEOUT = IS_FULL ? '10s' : '5s';

/** A provider of which nothing is known is taken at its worst here. */
export function rotationAtProvider(mode: Mode): 'none' | 'grace' | 'strict' {
  return mode === 'unknown' ? 'strict' : mode;
}

/** True where a refresh token may be sent again though nobody knows whether it was spent. */
export function isResendSafe(mode: Mode): boolean {
  return mode === 'none' || mode === 'grace';
}
