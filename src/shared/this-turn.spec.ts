import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { ThisTurn } from './this-turn.js';

it('makes a thing once for all who want it in the same turn, and anew for those who come later', async () => {
  const turn = new ThisTurn<string, string>();
  let made = 0;
  const of = (key: string): string => turn.of(key, () => `${key}${(made += 1)}`);
  expect([of('a'), of('b'), of('a'), await Promise.resolve().then(() => of('b'))]).toEqual([
    'a1',
    'b2',
    'a1',
    'b2',
  ]);
  await nextTurn();
  expect([of('a'), of('a')]).toEqual(['a3', 'a3']);
});

it('keeps nothing of what could not be made', () => {
  const turn = new ThisTurn<string, string>();
  const fail = (): string => {
    throw new Error('no');
  };
  expect(() => turn.of('a', fail)).toThrow('no');
  expect(turn.of('a', () => 'made')).toBe('made');
});
