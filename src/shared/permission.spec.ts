import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isResourcePattern, Permissions, type Permission } from './permission.js';

const may = (resource: string): Permissions => new Permissions([{ action: 'token:read', resource }]);

describe('a permission', () => {
  it.each([
    ['konnect/companies/42', 'konnect/companies/42', true],
    ['konnect/companies/42', 'konnect/companies/43', false],
    ['konnect/companies/42', 'fynd/companies/42', false],
    ['konnect/companies/42', 'konnect/companies/42/locations/7', false],
    ['konnect/companies/42/locations/*', 'konnect/companies/42/locations/7', true],
    ['konnect/companies/42/locations/*', 'konnect/companies/42', false],
    ['konnect/companies/42/locations/7', 'konnect/companies/42/locations/8', false],
    ['konnect/companies/42/**', 'konnect/companies/42/locations/7', true],
    ['konnect/companies/42/**', 'konnect/companies/42', false],
    ['konnect/companies/42/**', 'konnect/companies/421', false],
    ['konnect/companies/*', 'konnect/companies/42', true],
    ['konnect/companies/*', 'konnect/companies/42/locations/7', false],
    ['konnect/**', 'konnect/companies/42', true],
    ['*/companies/42', 'fynd/companies/42', true],
    ['*/**', 'fynd/companies/42', true],
    ['**', 'fynd/companies/42/locations/7', true],
    ['**', '**', true],
    ['*/**', '**', false],
    // Which no client is given.
    ['*', '**', false],
    ['konnect/**', '**', false],
  ])('on %s: of %s it is %s', (pattern, resource, expected) => {
    expect(may(pattern).permits('token:read', resource)).toBe(expected);
    expect(may(pattern).permits('token:report', resource)).toBe(false);
    expect(new Permissions([{ action: '*', resource: pattern }]).permits('key:admin', resource)).toBe(
      expected,
    );
  });

  it.each([
    ['*', false],
    ['', false],
    ['konnect', false],
    ['konnect/companies', false],
    ['konnect/companies/42/locations', false],
    ['konnect/shops/42', false],
    ['konnect/companies/42/shops/7', false],
    ['konnect/companies/42/locations/7/**', false],
    ['konnect/companies/42/locations/7/8', false],
    ['konnect/**/42', false],
    ['konnect/companies/4 2', false],
    ['/companies/42', false],
    ['konnect/companies/..', false],
    ['konnect/companies/42', true],
    ['*/*/*', true],
    ['konnect/companies/42/locations/**', true],
    ['**', true],
  ])('is on a pattern that can match something: %s is %s', (pattern, expected) => {
    expect(isResourcePattern(pattern)).toBe(expected);
  });
});

/** Few names, so that patterns and resources meet; and one that no pattern names. */
const ids = ['a', 'b'];
const idOrAny = fc.constantFrom(...ids, '*');
const company = fc.tuple(idOrAny, fc.constantFrom('companies', '*'), idOrAny);
const location = fc
  .tuple(company, fc.constantFrom('locations', '*'), idOrAny)
  .map(([c, ...rest]) => [...c, ...rest]);
const whole = fc.oneof(company, location).map((segments) => segments.join('/'));
const below = fc
  .tuple(location, fc.integer({ min: 0, max: 4 }))
  .map(([segments, length]) => [...segments.slice(0, length), '**'].join('/'));
const pattern = fc.oneof(whole, below);

const RESOURCES = ['a', 'b', 'fresh'].flatMap((provider) =>
  ['a', 'b', 'fresh'].flatMap((companyId) => [
    `${provider}/companies/${companyId}`,
    ...['a', 'b', 'fresh'].map((locationId) => `${provider}/companies/${companyId}/locations/${locationId}`),
  ]),
);

/** Whatever could be named by a pattern, also what is no resource: so that nothing is within another by chance. */
const WORDS = ['a', 'b', 'companies', 'locations', 'fresh'];
const longer = (paths: readonly string[]): string[] =>
  paths.flatMap((path) => WORDS.map((word) => `${path}/${word}`));
const two = longer(WORDS);
const three = longer(two);
const four = longer(three);
const five = longer(four);
// Below a location there is nothing; a pattern does not know that.
const PATHS = [...WORDS, ...two, ...three, ...four, ...five, ...five.map((path) => `${path}/fresh`)];

/** As the words of the rule say it, letter by letter. */
function matchesNaively(text: string, resource: string): boolean {
  if (resource === '**') return text === '**';
  return readPlainly(text).test(resource);
}

const plain = new Map<string, RegExp>();

function readPlainly(text: string): RegExp {
  const known = plain.get(text);
  if (known) return known;
  const expression = text
    .split('/')
    .map((segment) => (segment === '**' ? '.+' : segment === '*' ? '[^/]+' : segment))
    .join('/');
  const read = new RegExp(`^${expression}$`);
  plain.set(text, read);
  return read;
}

describe('permissions', () => {
  it('match what a plain reading of their patterns matches', () => {
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 4 }), (patterns) => {
        const permissions = new Permissions(
          patterns.map((resource): Permission => ({ action: 'token:read', resource })),
        );
        for (const resource of [...RESOURCES, '**']) {
          const expected = patterns.some((text) => matchesNaively(text, resource));
          expect(permissions.permits('token:read', resource)).toBe(expected);
        }
        expect(patterns.every(isResourcePattern)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('cover just those that match nothing which they do not match', () => {
    fc.assert(
      fc.property(pattern, pattern, (held, wanted) => {
        const isWithin = [...PATHS, '**'].every(
          (path) => !matchesNaively(wanted, path) || matchesNaively(held, path),
        );
        expect(may(held).covers({ action: 'token:read', resource: wanted })).toBe(isWithin);
      }),
      { numRuns: 1_000 },
    );
  });

  it('cover every action only where they hold every action', () => {
    const reader = may('**');
    expect(reader.covers({ action: '*', resource: 'konnect/companies/42' })).toBe(false);
    expect(reader.covers({ action: 'token:read', resource: 'konnect/**' })).toBe(true);
    expect(reader.covers({ action: 'token:report', resource: 'konnect/**' })).toBe(false);
    expect(new Permissions([{ action: '*', resource: '**' }]).covers({ action: '*', resource: '**' })).toBe(
      true,
    );
  });
});
