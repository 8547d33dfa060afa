/** All that other systems are told, once per transition. */
export const EVENT_TYPES = [
  'connection.created',
  'connection.replaced',
  'connection.expiring',
  'connection.suspect',
  'connection.reauthorization_required',
  'connection.recovered',
  'connection.revoked',
  'connection.rotation_due',
  'provider.misconfigured',
  'provider.recovered',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];
