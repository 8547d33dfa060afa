import { createDecipheriv, generateKeySync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { Secret } from '../shared/secret.js';
import { MemoryVault, type SealedInMemory } from './memory-vault.js';

const key = generateKeySync('aes', { length: 256 });
const vault = new MemoryVault(key);
const seal = (text: string): SealedInMemory => {
  const sealed = vault.seal(new Secret(text));
  if (sealed === undefined) throw new Error('too long');
  return sealed;
};
const SECRET = 'test-secret-of-some-length';

describe('what is sealed in memory', () => {
  it.each([0, 1, 15, 16, 17, 1_023, 2_048])('opens to the %i characters that were put in', (length) => {
    const text = SECRET.repeat(400).slice(0, length);
    const sealed = seal(text);
    // Others in between: one cipher opens all of them.
    const others = ['', 'x', SECRET.repeat(40)].map((other) => [other, seal(other)] as const);
    for (const [other, itself] of others) expect(vault.open(itself).reveal()).toBe(other);
    for (let again = 0; again < 3; again += 1) expect(vault.open(sealed).reveal()).toBe(text);
  });

  it('opens to any characters', () => {
    for (const text of ['"quoted" \\ and \n', 'ünïcödé \u2028 \ud83d\ude00', '\u0000\u007f\u0080ÿ'])
      expect(vault.open(seal(text)).reveal()).toBe(text);
  });

  it('is left alone where it is too long', () => {
    expect(vault.seal(new Secret('x'.repeat(2_049)))).toBeUndefined();
    expect(vault.seal(new Secret('ü'.repeat(1_025)))).toBeUndefined();
    expect(vault.open(seal('ü'.repeat(1_024))).reveal()).toBe('ü'.repeat(1_024));
  });

  it('is its number and what AES-256 makes of it in counter mode, from that number on', () => {
    const text = SECRET.repeat(20);
    for (const sealed of [seal(text), seal(text)]) {
      const bytes = Buffer.from(sealed, 'latin1');
      const counter = Buffer.concat([bytes.subarray(0, 8), Buffer.alloc(8)]);
      const cipher = createDecipheriv('aes-256-ctr', key, counter);
      expect(cipher.update(bytes.subarray(8)).toString()).toBe(text);
    }
  });

  it('has another number and another ciphertext every time, and shows nothing of what it is', () => {
    const sealed = Array.from({ length: 2_000 }, () => seal(SECRET));
    expect(new Set(sealed.map((it) => it.slice(0, 8))).size).toBe(2_000);
    expect(new Set(sealed.map((it) => it.slice(8))).size).toBe(2_000);
    for (const it of sealed) expect(it).not.toContain(SECRET.slice(0, 8));
  });

  it('opens with its own key alone', () => {
    const other = new MemoryVault(generateKeySync('aes', { length: 256 }));
    expect(other.open(seal(SECRET)).reveal()).not.toContain(SECRET.slice(0, 4));
  });
});
