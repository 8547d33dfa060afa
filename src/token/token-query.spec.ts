import { describe, expect, it } from '@jest/globals';
import { Problem } from '../shared/problem.js';
import { readTokenQuery } from './token-query.js';

function fieldsRefused(query: Record<string, unknown>, isLocation = false): unknown {
  try {
    readTokenQuery(query, isLocation);
  } catch (error) {
    if (error instanceof Problem && error.code === 'invalid_request') {
      return error.extensions.errors?.map(({ field }) => field);
    }
    throw error;
  }
  return 'accepted';
}

describe("the query of a token's GET", () => {
  it('wants 30 s of life and no scope unless it says so', () => {
    expect(readTokenQuery({}, false)).toEqual({ wish: { minTtl: 30, scopes: [] }, orCompany: false });
  });

  it.each([
    ['0', 0],
    ['1', 1],
    ['0030', 30],
    ['3600', 3_600],
  ])('takes min_ttl=%s', (min_ttl, minTtl) => {
    expect(readTokenQuery({ min_ttl }, false).wish.minTtl).toBe(minTtl);
  });

  it.each([
    '',
    '-1',
    '3601',
    '9999',
    '00030',
    '1.5',
    '1e3',
    ' 30',
    '30s',
    'NaN',
    '٣',
    ['30', '30'],
    30,
    null,
  ])('refuses min_ttl=%j', (min_ttl) => {
    expect(fieldsRefused({ min_ttl })).toEqual(['min_ttl']);
  });

  it('takes scopes separated by commas', () => {
    expect(readTokenQuery({ scope: 'company/products,company/orders' }, false).wish.scopes).toEqual([
      'company/products',
      'company/orders',
    ]);
    expect(readTokenQuery({ scope: Array(100).fill('s').join(',') }, false).wish.scopes).toHaveLength(100);
  });

  it.each([
    ['nothing', ''],
    ['an empty one', 'a,,b'],
    ['a comma at the end', 'a,'],
    ['a space', 'a b'],
    ['a line break', 'a\nb'],
    ['what is not ASCII', 'ü'],
    ['two parameters', ['a', 'b']],
    ['more than 100', Array(101).fill('s').join(',')],
    ['more than 4,096 characters', 's'.repeat(4_097)],
  ])('refuses a scope with %s', (_what, scope) => {
    expect(fieldsRefused({ scope })).toEqual(['scope']);
  });

  it('takes a level for a location only', () => {
    expect(readTokenQuery({ level: 'location' }, true).orCompany).toBe(false);
    expect(readTokenQuery({ level: 'location_then_company' }, true).orCompany).toBe(true);
    expect(fieldsRefused({ level: 'location_then_company' }, false)).toEqual(['level']);
    for (const level of ['company', '', 'LOCATION', ['location', 'location']]) {
      expect(fieldsRefused({ level }, true)).toEqual(['level']);
    }
  });

  it('refuses what it does not know, without repeating what could be anything', () => {
    expect(fieldsRefused({ minttl: '30' })).toEqual(['minttl']);
    expect(fieldsRefused({ '<script>': '1' })).toEqual(['query']);
    expect(fieldsRefused({ ['x'.repeat(65)]: '1' })).toEqual(['query']);
    expect(fieldsRefused({ __proto__x: '1' })).toEqual(['__proto__x']);
  });
});
