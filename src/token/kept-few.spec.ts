import { expect, it } from '@jest/globals';
import { KeptFew } from './kept-few.js';

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n);

it('takes all while there is room, and then one of sixteen, for which the oldest has to go', () => {
  const gone: number[] = [];
  const few = new KeptFew<number>(3, (thing) => gone.push(thing));
  expect(numbers(1, 3).filter((thing) => few.takes(thing))).toEqual([1, 2, 3]);
  expect(gone).toEqual([]);
  expect(numbers(4, 4 + 16 * 4 - 1).filter((thing) => few.takes(thing))).toEqual([19, 35, 51, 67]);
  expect(gone).toEqual([1, 2, 3, 19]);
  few.drop(51);
  expect(numbers(100, 101).filter((thing) => few.takes(thing))).toEqual([100]);
  expect(gone).toHaveLength(4);
});
