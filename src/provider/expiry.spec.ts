import { describe, expect, it } from '@jest/globals';
import { assert, constantFrom, date, double, jsonValue, oneof, property, record, string } from 'fast-check';
import { readExpiry } from './expiry.js';

const SENT = new Date('2026-01-01T00:00:00Z');
const AT_S = SENT.getTime() / 1_000;
const FALLBACK_S = 1_234;
const ASSUMED = { lifetimeSeconds: FALLBACK_S, assumed: true };

function read(fields: object, providerDate?: string): unknown {
  return readExpiry(fields, FALLBACK_S, SENT, providerDate);
}

function lives(lifetimeSeconds: number | null): unknown {
  return { lifetimeSeconds, assumed: false };
}

describe('expires_in', () => {
  it.each([
    [3_600, 3_600],
    ['3600', 3_600],
    [' 3600 ', 3_600],
    ['+3600', 3_600],
    ['3600.0', 3_600],
    [59.5, 59.5],
    [315_360_000, 315_360_000],
    [315_360_001, null],
    [10_000_000_000_000, null],
    [Number.MAX_VALUE, null],
  ])('%j lives %j s', (expires_in, seconds) => {
    expect(read({ expires_in })).toEqual(lives(seconds));
  });

  it.each([0, '0', -60, '-60', '-0', 'soon', '', '1h', '1e3', '0x10', null, true, [], {}, [3_600], NaN])(
    '%j is taken for the configured lifetime',
    (expires_in) => {
      expect(read({ expires_in })).toEqual(ASSUMED);
    },
  );

  it('beats expires_at, and where it cannot be read expires_at stands in', () => {
    const expires_at = AT_S + 100;
    expect(read({ expires_in: 60, expires_at })).toEqual(lives(60));
    expect(read({ expires_in: 'soon', expires_at })).toEqual(lives(100));
    expect(read({ expires_in: null, expires_at })).toEqual(lives(100));
  });
});

describe('expires_at', () => {
  it.each([
    ['seconds', AT_S + 600, 600],
    ['seconds with a fraction', AT_S + 600.25, 600.25],
    ['seconds as text', String(AT_S + 600), 600],
    ['a fraction as text', `${AT_S + 600}.5`, 600.5],
    ['milliseconds', (AT_S + 600) * 1_000, 600],
    ['milliseconds as text', String((AT_S + 600) * 1_000), 600],
    ['ISO 8601', '2026-01-01T00:10:00.000Z', 600],
    ['ISO 8601 without a fraction', '2026-01-01T00:10:00Z', 600],
    ['ISO 8601 with an offset', '2026-01-01T02:10:00+02:00', 600],
    ['more than ten years ahead', '2036-01-02T00:00:00Z', null],
    ['beyond any Date', Number.MAX_VALUE, null],
  ])('as %s', (_form, expires_at, seconds) => {
    expect(read({ expires_at })).toEqual(lives(seconds));
  });

  it.each([
    ['now', AT_S],
    ['past', AT_S - 1],
    ['zero', 0],
    ['negative', -AT_S],
    ['a date alone', '2026-02-01'],
    ['no date', 'after lunch'],
    ['an impossible date', '2026-13-45T99:99:99Z'],
    ['nothing', undefined],
    ['null', null],
    ['a list', [AT_S + 600]],
  ])('that is %s is taken for the configured lifetime', (_form, expires_at) => {
    expect(read({ expires_at })).toEqual(ASSUMED);
  });
});

describe("the provider's clock", () => {
  const expires_at = AT_S + 600;

  it.each([
    ['Thu, 01 Jan 2026 00:00:05 GMT', 600],
    ['Wed, 31 Dec 2025 23:59:55 GMT', 600],
    ['Thu, 01 Jan 2026 00:00:06 GMT', 594],
    ['Wed, 31 Dec 2025 23:59:00 GMT', 660],
    ['Thu, 01 Jan 2026 00:05:00 GMT', 300],
    ['Thu, 01 Jan 2026 08:00:00 GMT', 300],
    ['Wed, 31 Dec 2025 12:00:00 GMT', 900],
    ['yesterday', 600],
  ])('%s corrects an absolute time to %i s', (providerDate, seconds) => {
    expect(read({ expires_at }, providerDate)).toEqual(lives(seconds));
  });

  it('leaves expires_in alone', () => {
    expect(read({ expires_in: 600 }, 'Thu, 01 Jan 2026 00:04:00 GMT')).toEqual(lives(600));
  });
});

describe('whatever a provider sends', () => {
  const anything = oneof(
    jsonValue(),
    double(),
    constantFrom(Infinity, -Infinity, NaN, 1e308, -1e308, 5e-324, undefined),
    string({ unit: constantFrom('0', '1', '9', '.', '-', '+', ' ', 'e', 'T', 'Z', ':') }),
    date({ noInvalidDate: true }).map((day) => day.toISOString()),
  );
  const anyDate = oneof(
    string(),
    date({ noInvalidDate: true }).map((day) => day.toUTCString()),
  );

  it('a lifetime is positive and at most ten years, or none at all; never NaN', () => {
    assert(
      property(record({ expires_in: anything, expires_at: anything }), anyDate, (fields, providerDate) => {
        const { lifetimeSeconds, assumed } = readExpiry(fields, FALLBACK_S, SENT, providerDate);
        if (lifetimeSeconds === null) return !assumed;
        return lifetimeSeconds > 0 && lifetimeSeconds <= 315_360_000;
      }),
      { numRuns: 2_000 },
    );
  });
});
