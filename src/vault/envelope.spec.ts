import { createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { decrypt, encrypt } from './envelope.js';

const key = createSecretKey(randomBytes(32));
const PLAIN = Buffer.from('test-secret of some length, with ünicode');
const PLACE = Buffer.from('row 1');

describe('an envelope', () => {
  it.each([0, 1, 15, 16, 17, 65_536])('opens to the %i bytes that were put in', (length) => {
    const plain = randomBytes(length);
    expect(decrypt(key, encrypt(key, plain, PLACE), PLACE)?.equals(plain)).toBe(true);
  });

  it('is a nonce of 12 bytes, the ciphertext and a tag of 16, as AES-256-GCM makes them', () => {
    const envelope = encrypt(key, PLAIN, PLACE);
    expect(envelope).toHaveLength(12 + PLAIN.length + 16);
    const cipher = createDecipheriv('aes-256-gcm', key, envelope.subarray(0, 12));
    cipher.setAAD(PLACE).setAuthTag(envelope.subarray(-16));
    const opened = Buffer.concat([cipher.update(envelope.subarray(12, -16)), cipher.final()]);
    expect(opened.equals(PLAIN)).toBe(true);
  });

  it('has another nonce and another ciphertext every time', () => {
    const envelopes = Array.from({ length: 2_000 }, () => encrypt(key, PLAIN, PLACE));
    expect(new Set(envelopes.map((it) => it.subarray(0, 12).toString('hex'))).size).toBe(2_000);
    expect(new Set(envelopes.map((it) => it.subarray(12).toString('hex'))).size).toBe(2_000);
    for (const envelope of envelopes) expect(envelope.includes(PLAIN.subarray(0, 8))).toBe(false);
  });

  it('stays shut with any bit of it changed', () => {
    const envelope = encrypt(key, PLAIN, PLACE);
    for (let bit = 0; bit < envelope.length * 8; bit += 1) {
      const changed = Buffer.from(envelope);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(decrypt(key, changed, PLACE)).toBeUndefined();
    }
  });

  it('stays shut at any other length, which a shorter tag would be', () => {
    const envelope = encrypt(key, PLAIN, PLACE);
    for (let length = 0; length < envelope.length; length += 1) {
      expect(decrypt(key, envelope.subarray(0, length), PLACE)).toBeUndefined();
    }
    expect(decrypt(key, Buffer.concat([envelope, Buffer.alloc(1)]), PLACE)).toBeUndefined();
    expect(decrypt(key, Buffer.alloc(0), PLACE)).toBeUndefined();
  });

  it('stays shut with another key, and in another place', () => {
    const envelope = encrypt(key, PLAIN, PLACE);
    expect(decrypt(createSecretKey(randomBytes(32)), envelope, PLACE)).toBeUndefined();
    for (const place of ['', 'row', 'row 2', 'row 1 ']) {
      expect(decrypt(key, envelope, Buffer.from(place))).toBeUndefined();
    }
  });

  it('cannot be put together from two', () => {
    const [one, two] = [encrypt(key, PLAIN, PLACE), encrypt(key, PLAIN, PLACE)];
    const mixed = Buffer.concat([one.subarray(0, 12), two.subarray(12)]);
    expect(decrypt(key, mixed, PLACE)).toBeUndefined();
  });
});
