import { describe, expect, it } from '@jest/globals';
import { assert, constantFrom, integer, option, property, record, uniqueArray } from 'fast-check';
import { compareDue, type Due } from './due-order.js';

const NOW = 1_000;

function inOrder(...due: readonly Due[]): string[] {
  return [...due].sort((a, b) => compareDue(a, b, NOW)).map(({ id }) => id);
}

describe('what is due is claimed in an order', () => {
  it('in which the living come first by their end, then what has no end, then the expired', () => {
    expect(
      inOrder(
        { id: 'expired, due again now', expiresAt: 3, dueAt: 1_000 },
        { id: 'expires now', expiresAt: 1_000, dueAt: 500 },
        { id: 'no token, due now', expiresAt: null, dueAt: 1_000 },
        { id: 'lives long', expiresAt: 5_000, dueAt: 1 },
        { id: 'expired, due for long', expiresAt: 999, dueAt: 400 },
        { id: 'no token, due for long', expiresAt: null, dueAt: 300 },
        { id: 'lives a moment', expiresAt: 1_001, dueAt: 999 },
      ),
    ).toEqual([
      'lives a moment',
      'lives long',
      'no token, due for long',
      'no token, due now',
      'expired, due for long',
      'expires now',
      'expired, due again now',
    ]);
  });

  it('in which equal ones follow their ids', () => {
    for (const expiresAt of [1_500, null, 1]) {
      const ids = ['b', 'c', 'a'].map((id) => ({ id, expiresAt, dueAt: 900 }));
      expect(inOrder(...ids)).toEqual(['a', 'b', 'c']);
    }
  });

  it('that is total: whatever is due, it does not matter how it lay', () => {
    const due = record({
      id: constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      expiresAt: option(integer({ min: 995, max: 1_005 })),
      dueAt: integer({ min: 990, max: 1_000 }),
    });
    assert(
      property(uniqueArray(due, { selector: ({ id }) => id }), (rows) => {
        const sorted = [...rows].sort((a, b) => compareDue(a, b, NOW));
        const again = [...rows].reverse().sort((a, b) => compareDue(a, b, NOW));
        return JSON.stringify(sorted) === JSON.stringify(again);
      }),
    );
  });
});
