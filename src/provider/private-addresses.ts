import { lookup as dnsLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isPrivateAddress } from '../config/addresses.js';

/** A name led to an address that is not the provider's to have. */
export class PrivateAddressError extends Error {}

/** Resolves a name and refuses it where any of its addresses is private: a name may not lead back into our network. */
export const refusingPrivate: LookupFunction = (hostname, options, callback) => {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '', 0);
    if (addresses.some(({ address }) => isPrivateAddress(address))) {
      return callback(new PrivateAddressError(), '', 0);
    }
    if (options.all) return callback(null, addresses);
    const first = addresses[0];
    return callback(null, first?.address ?? '', first?.family ?? 0);
  });
};
