import { expect, it } from '@jest/globals';
import { drawPad, mix } from './one-time-pad.js';

const SECRET = 'test-secret-of-some-length';

const seal = (): { readonly bytes: Buffer; readonly pad: Buffer } => {
  const bytes = Buffer.from(`(${SECRET})`);
  const pad = drawPad(SECRET.length);
  mix(bytes, 1, pad);
  return { bytes, pad };
};

it('what is sealed is the secret and its pad, bit by bit, and nothing beside it changes', () => {
  const { bytes, pad } = seal();
  expect([bytes.length, bytes.at(0), bytes.at(-1)]).toEqual([SECRET.length + 2, 0x28, 0x29]);
  const mixed = bytes.subarray(1, -1).map((byte, at) => byte ^ (pad[at] ?? 0));
  expect(Buffer.from(mixed).toString()).toBe(SECRET);
  mix(bytes, 1, pad);
  expect(bytes.toString()).toBe(`(${SECRET})`);
});

it('each secret has a pad of its own, and shows nothing of what it is in either half', () => {
  const sealed = Array.from({ length: 2_000 }, seal);
  expect(new Set(sealed.map(({ bytes }) => bytes.toString('latin1'))).size).toBe(2_000);
  expect(new Set(sealed.map(({ pad }) => pad.toString('latin1'))).size).toBe(2_000);
  for (const { bytes, pad } of sealed)
    for (const half of [bytes, pad]) expect(half.toString('latin1')).not.toContain(SECRET.slice(0, 4));
});

it('a pad lies in memory that is shared with nothing else', () => {
  const pad = drawPad(26);
  expect([pad.byteOffset, pad.buffer.byteLength]).toEqual([0, 26]);
});
