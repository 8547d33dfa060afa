import { describe, expect, it } from '@jest/globals';
import { refusingPrivate } from '../../src/provider/private-addresses.js';

/** Resolves as an agent's socket would. */
function resolve(name: string): Promise<string | undefined> {
  return new Promise((done) => {
    refusingPrivate(name, { all: true }, (error) => done(error ? error.constructor.name : undefined));
  });
}

describe('the way out to a provider', () => {
  it('refuses a name that leads into a private network, and no other', async () => {
    // An address is a name that resolves to itself; no name of the Internet can be asked in a test.
    expect(await resolve('10.1.2.3')).toBe('PrivateAddressError');
    expect(await resolve('169.254.169.254')).toBe('PrivateAddressError');
    expect(await resolve('fd00::1')).toBe('PrivateAddressError');
    expect(await resolve('93.184.216.34')).toBeUndefined();
    expect(await resolve('localhost')).toBeUndefined();
  });
});
