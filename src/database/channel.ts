/** What the replicas tell each other of: that a row changed, by its id. */
export const CHANNELS = ['connections', 'clients', 'keys', 'sessions'] as const;
export type Channel = (typeof CHANNELS)[number];
