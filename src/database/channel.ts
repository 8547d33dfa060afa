/** What the replicas tell each other of: that a row changed, by its id. */
export const CHANNELS = ['connections', 'clients', 'keys'] as const;
export type Channel = (typeof CHANNELS)[number];
