import type { DatabaseAddresses, DatabaseSettings } from '../config/database-settings.js';

/** How to reach the database. `url` is asked anew for each connection's user and password, so that they can be changed live. */
export interface DatabaseAddress {
  readonly url: () => string;
  /** PEM; null trusts the system's authorities where the URL asks for TLS. */
  readonly ca: string | null;
  /** The variable that it stands in. */
  readonly variable?: 'DATABASE_URL' | 'DATABASE_DIRECT_URL';
  readonly isPooler?: boolean;
}

/** Where statements and transactions go. */
export function pooledAddress(settings: DatabaseSettings): DatabaseAddress {
  const { url, ca } = settings;
  return { url: () => url.current.reveal(), ca, isPooler: isPooled(settings) };
}

/** Where everything goes that needs a session of its own, or a long time. */
export function directAddress({ url, directUrl, ca }: DatabaseAddresses): DatabaseAddress {
  if (!directUrl) return { url: () => url.current.reveal(), ca };
  return { url: () => directUrl.current.reveal(), ca, variable: 'DATABASE_DIRECT_URL' };
}

/** Whether DATABASE_URL is said to lead to a pooler. */
export function isPooled({ directUrl, namedStatements }: DatabaseSettings): boolean {
  return directUrl !== null || !namedStatements;
}
