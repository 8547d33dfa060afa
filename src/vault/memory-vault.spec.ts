import { describe, expect, it } from '@jest/globals';
import { Secret } from '../shared/secret.js';
import { MemoryVault, type SealedInMemory } from './memory-vault.js';

const vault = new MemoryVault();
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
    // Others in between: all are opened in the same place.
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

  it('is the secret and its pad, bit by bit, and each as long as the other', () => {
    const { text, pad } = seal(SECRET);
    const bytes = Buffer.from(text, 'latin1');
    expect([bytes.length, pad.length]).toEqual([SECRET.length, SECRET.length]);
    expect(String.fromCharCode(...bytes.map((byte, at) => byte ^ (pad[at] ?? 0)))).toBe(SECRET);
  });

  it('has a pad of its own every time, and shows nothing of what it is in either half', () => {
    const sealed = Array.from({ length: 2_000 }, () => seal(SECRET));
    expect(new Set(sealed.map(({ text }) => text)).size).toBe(2_000);
    expect(new Set(sealed.map(({ pad }) => pad.toString('hex'))).size).toBe(2_000);
    for (const { text, pad } of sealed)
      for (const half of [text, pad.toString('latin1')]) expect(half).not.toContain(SECRET.slice(0, 4));
  });

  it('opens with its own pad alone', () => {
    const [one, other] = [seal(SECRET), seal(SECRET)];
    expect(vault.open({ text: one.text, pad: other.pad }).reveal()).not.toContain(SECRET.slice(0, 4));
  });

  it('has its pad in memory that is shared with nothing else', () => {
    const { pad } = seal(SECRET);
    expect([pad.byteOffset, pad.buffer.byteLength]).toEqual([0, SECRET.length]);
  });
});
