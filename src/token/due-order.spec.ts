import { describe, expect, it } from '@jest/globals';
import { assert, array, constantFrom, option, integer, property, record } from 'fast-check';
import { compareDue, type Due } from './due-order.js';

const NOW = 1_000;

function inOrder(...due: readonly Due[]): string[] {
  return [...due].sort((a, b) => compareDue(a, b, NOW)).map(({ id }) => id);
}

describe('what is due is claimed in an order', () => {
  it('in which the living come first by their end, then what has no end, then the expired by their end', () => {
    expect(
      inOrder(
        { id: 'expired lately', expiresAt: 999 },
        { id: 'expires now', expiresAt: 1_000 },
        { id: 'no token', expiresAt: null },
        { id: 'lives long', expiresAt: 5_000 },
        { id: 'expired long ago', expiresAt: 3 },
        { id: 'lives a moment', expiresAt: 1_001 },
      ),
    ).toEqual([
      'lives a moment',
      'lives long',
      'no token',
      'expired long ago',
      'expired lately',
      'expires now',
    ]);
  });

  it('in which equal ones follow their ids', () => {
    const expiresAt = 1_500;
    expect(inOrder({ id: 'b', expiresAt }, { id: 'c', expiresAt }, { id: 'a', expiresAt })).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(inOrder({ id: '2', expiresAt: null }, { id: '1', expiresAt: null })).toEqual(['1', '2']);
  });

  it('that is total: whatever is due, it does not matter how it lay', () => {
    const due = record({
      id: constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      expiresAt: option(integer({ min: 995, max: 1_005 })),
    });
    assert(
      property(array(due), (rows) => {
        const sorted = [...rows].sort((a, b) => compareDue(a, b, NOW));
        const again = [...rows].reverse().sort((a, b) => compareDue(a, b, NOW));
        return JSON.stringify(sorted) === JSON.stringify(again);
      }),
    );
  });
});
