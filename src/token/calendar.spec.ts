import { describe, expect, it } from '@jest/globals';
import { assert, double, integer, property } from 'fast-check';
import { backoff, renewAfter } from './calendar.js';

const BETWEEN = [0.6, 0.8] as const;
const ALMOST_ONE = 1 - Number.EPSILON;

describe('the time of renewal', () => {
  it.each([
    [3_600, 0, 2_160],
    [3_600, 0.5, 2_520],
    [3_600, ALMOST_ONE, 2_880],
    // 45 s before expiry at the latest.
    [200, 0, 120],
    [200, ALMOST_ONE, 155],
    [112.5, 0, 67.5],
    [100, 0, 55],
    [90, 0, 45],
    // Below 90 s of life another part is drawn.
    [89.999, 0, 26.9997],
    [60, 0, 18],
    [60, ALMOST_ONE, 27],
    [1, 0.5, 0.375],
  ])('a life of %d s and a draw of %d gives %d s', (lifetime, drawn, seconds) => {
    expect(renewAfter(lifetime, BETWEEN, () => drawn)).toBeCloseTo(seconds, 6);
  });

  it('is never, for a token that never expires', () => {
    expect(renewAfter(null, BETWEEN, () => 0.5)).toBeNull();
  });

  it('is drawn where the provider is configured to have it', () => {
    expect(renewAfter(1_000, [0.1, 0.3], () => 0.5)).toBeCloseTo(200, 6);
    expect(renewAfter(1_000, [0.95, 0.95], () => 0.5)).toBe(950);
    expect(renewAfter(600, [0.95, 0.95], () => 0.5)).toBe(555);
  });

  it('lies after the issue and before the expiry, by at least 45 s for all but short lives', () => {
    const anyLife = double({ min: 0.001, max: 315_360_000, noNaN: true });
    const anyDraw = double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    assert(
      property(anyLife, anyDraw, (lifetime, drawn) => {
        const after = renewAfter(lifetime, BETWEEN, () => drawn) ?? NaN;
        if (lifetime < 90) return after >= lifetime * 0.2999 && after <= lifetime * 0.4501;
        return after > 0 && after <= lifetime - 45 && after <= lifetime * 0.8001;
      }),
      { numRuns: 1_000 },
    );
  });

  it('spreads what was issued together', () => {
    const times = Array.from({ length: 1_000 }, () => renewAfter(3_600, BETWEEN, Math.random) ?? 0);
    expect(Math.min(...times)).toBeLessThan(2_250);
    expect(Math.max(...times)).toBeGreaterThan(2_790);
  });
});

describe('the backoff', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 4],
    [8, 128],
    [9, 256],
    [10, 300],
    [11, 300],
    [1_000_000, 300],
  ])('after %i failures is at most %i s, with full jitter', (failures, most) => {
    expect(backoff(failures, () => ALMOST_ONE)).toBeCloseTo(most, 6);
    expect(backoff(failures, () => 0.5)).toBeCloseTo(most / 2, 6);
    expect(backoff(failures, () => 0)).toBe(0);
  });

  it('is never NaN, negative or more than 5 min', () => {
    assert(
      property(
        integer({ min: 1 }),
        double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (n, drawn) => {
          const seconds = backoff(n, () => drawn);
          return seconds >= 0 && seconds <= 300;
        },
      ),
    );
  });
});
