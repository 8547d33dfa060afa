import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { parseEncryptionKeys, type LocalKey } from './encryption-keys.js';
import { ConfigurationError } from './mistakes.js';

const base64 = (bytes: Buffer | Uint8Array): string => Buffer.from(bytes).toString('base64');
const random = (): string => base64(randomBytes(32));

function lines(text: string): readonly string[] {
  try {
    parseEncryptionKeys(text);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.lines;
    throw error;
  }
  return [];
}

const MALFORMED = 'must be the base64 of 32 bytes; make one with: openssl rand -base64 32';
const EXAMPLE =
  'is a text, a pattern or a published example and not a random key; make one with: openssl rand -base64 32';

describe('ENCRYPTION_KEYS', () => {
  it('are ids and keys, of which the first encrypts', () => {
    const [one, two] = [randomBytes(32), randomBytes(32)];
    const keys = parseEncryptionKeys(`k1:${base64(one)}, k_2.b-c:${base64(two)}`);
    expect(keys.map(({ id }) => id)).toEqual(['k1', 'k_2.b-c']);
    expect((keys as readonly LocalKey[]).map(({ key }) => key.export().equals(one))).toEqual([true, false]);
  });

  it('may lack the padding of base64', () => {
    const key = random();
    expect(
      (parseEncryptionKeys(`k1:${key.replace('=', '')}`)[0] as LocalKey).key.export().toString('base64'),
    ).toBe(key);
  });

  it.each(['', ',', 'k1', 'k1:', ':abc', 'k 1:abc', 'k1:abc:def', `${'k'.repeat(65)}:abc`])(
    'cannot be %j',
    (text) => {
      for (const line of lines(text))
        expect(line).toMatch(/^ENCRYPTION_KEYS: entry \d must be id:base64-of-32-bytes;/);
      expect(lines(text)).toHaveLength(text === ',' ? 2 : 1);
    },
  );

  it.each([
    ['31 bytes', base64(randomBytes(31))],
    ['33 bytes', base64(randomBytes(33))],
    ['64 bytes', base64(randomBytes(64))],
    ['hex', randomBytes(32).toString('hex')],
    ['base64 with something behind it', `${random().slice(0, 43)}=x`],
    ['base64 with a blank in it', `${random().slice(0, 20)} ${random().slice(0, 24)}`],
  ])('cannot be of %s', (_, key) => {
    expect(lines(`k1:${key}`)).toEqual([`ENCRYPTION_KEYS: key "k1" ${MALFORMED}`]);
  });

  it.each<[string, Buffer | Uint8Array]>([
    ['zeros', Buffer.alloc(32)],
    ['ones', Buffer.alloc(32, 0xff)],
    ['one text', Buffer.from('test-secret-of-thirty-two-bytes!')],
    ['words', Buffer.from('0123456789abcdefghijklmnopqrstuv')],
    ['the numbers from 0', Uint8Array.from({ length: 32 }, (_, index) => index)],
    ['the numbers from 200', Uint8Array.from({ length: 32 }, (_, index) => (200 + index) & 0xff)],
    ['the numbers down from 255', Uint8Array.from({ length: 32 }, (_, index) => 255 - index)],
    ['every seventh number', Uint8Array.from({ length: 32 }, (_, index) => (3 + 7 * index) & 0xff)],
    ['four bytes, eight times', Buffer.from('deadbeef'.repeat(8), 'hex')],
    [
      "NIST's vector for AES-256",
      Buffer.from('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', 'hex'),
    ],
    ["GCM's vector", Buffer.from('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308', 'hex')],
  ])('cannot be %s', (_, bytes) => {
    expect(lines(`k1:${base64(bytes)}`)).toEqual([`ENCRYPTION_KEYS: key "k1" ${EXAMPLE}`]);
  });

  it('cannot be 16 random bytes, twice', () => {
    for (let round = 0; round < 100; round += 1) {
      const half = randomBytes(16);
      expect(lines(`k1:${base64(Buffer.concat([half, half]))}`)).toHaveLength(1);
    }
  });

  it('can be whatever a random generator makes', () => {
    for (let round = 0; round < 10_000; round += 1) expect(lines(`k1:${random()}`)).toEqual([]);
  });

  it('cannot have one id twice', () => {
    expect(lines(`k1:${random()},k2:${random()},k1:${random()}`)).toEqual([
      'ENCRYPTION_KEYS: key "k1" stands there twice',
    ]);
  });

  it('are told every mistake at once, and no line quotes a key', () => {
    const [good, short] = [random(), base64(randomBytes(20))];
    const text = Buffer.from('test-secret-of-thirty-two-bytes!');
    const told = lines(`k1:${good},k2:${short},test-secret,k1:${base64(text)}`);
    expect(told).toEqual([
      `ENCRYPTION_KEYS: key "k2" ${MALFORMED}`,
      expect.stringMatching(/^ENCRYPTION_KEYS: entry 3 must be/),
      `ENCRYPTION_KEYS: key "k1" ${EXAMPLE}`,
    ]);
    for (const secret of [good, short, base64(text), 'test-secret'])
      expect(told.join()).not.toContain(secret);
  });
});
