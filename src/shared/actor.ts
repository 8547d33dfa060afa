/** Who caused something, as the trail names it. */
export interface Actor {
  /** A client's id; `admin` for whoever holds ADMIN_KEY, `seller` for a browser that proved nothing but its consent, `broker`. */
  readonly id: string;
  /** The public part of the key that it came with; null where it came with none. */
  readonly keyId: string | null;
  readonly sourceIp: string | null;
  readonly requestId: string | null;
}

/** What the broker does by itself: renewals, and what follows from them. */
export const BROKER: Actor = { id: 'broker', keyId: null, sourceIp: null, requestId: null };
