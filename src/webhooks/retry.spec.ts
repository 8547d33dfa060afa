import { describe, expect, it } from '@jest/globals';
import { judge, pauseAfter } from './retry.js';

describe('an answer of a receiver', () => {
  it.each([
    [200, null],
    [204, null],
    [299, null],
    [301, 'redirected'],
    [400, 'refused'],
    [401, 'refused'],
    [404, 'refused'],
    [410, 'gone'],
    [429, 'rate_limited'],
    [500, 'refused'],
    [503, 'unavailable'],
  ])('of %d means %s', (status, error) => {
    expect(judge(status)).toBe(error);
  });
});

describe('the pause before the next try', () => {
  it('grows from seconds to hours, and stays there', () => {
    const most = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100].map((attempts) => pauseAfter(attempts, null, () => 1));
    expect(most).toEqual([5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 14_400, 14_400]);
  });

  it('is drawn over all of it, so that those who failed together do not come back together', () => {
    expect(pauseAfter(3, null, () => 0)).toBe(12);
    expect(pauseAfter(3, null, () => 0.5)).toBe(66);
  });

  it('is never shorter than the receiver has asked for', () => {
    expect(pauseAfter(1, 60, () => 1)).toBe(60);
    expect(pauseAfter(3, 60, () => 1)).toBe(120);
  });
});
