import { expect, it } from '@jest/globals';
import { goodForMs } from './key-census.js';

it.each([
  ['60 ms', 60, 12_000],
  ['5 s', 5_000, 600_000],
  ['a minute', 60_000, 1_200_000],
])('a count that took %s is good for a while', (_, tookMs, goodFor) => {
  expect(goodForMs(tookMs)).toBe(goodFor);
});
