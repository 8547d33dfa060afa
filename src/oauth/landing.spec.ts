import { describe, expect, it } from '@jest/globals';
import { isSafePath, landingUrl } from './landing.js';

/** As whoever stands behind us may decode it, again and again. */
function encoded(text: string, times: number): string {
  return times === 0 ? text : encoded(encodeURIComponent(text).replace(/^%2F/i, '/'), times - 1);
}

describe('a path to land on', () => {
  it.each([
    '/',
    '/a',
    '/a/b/',
    '/a//b',
    '/company/42?tab=1&x=%26#top',
    '/@evil.example',
    '/a:b',
    '/..',
    "/a'b",
  ])('%s is safe', (path) => expect(isSafePath(path)).toBe(true));

  it.each([
    '',
    'a',
    '//a',
    '///a',
    '\\a',
    '/\\a',
    '/a\\b',
    'https:a',
    'javascript:a',
    '?a',
    '#a',
    '@a',
    '.',
    '..',
  ])('%j is not', (path) => expect(isSafePath(path)).toBe(false));

  it('is not safe with anything that a browser strips or that is not ASCII', () => {
    for (let code = 0; code <= 0x20; code += 1) {
      const character = String.fromCharCode(code);
      expect(isSafePath(`/${character}/evil.example`)).toBe(false);
      expect(isSafePath(`/a${character}`)).toBe(false);
      expect(isSafePath(`${character}/a`)).toBe(false);
    }
    for (const character of [
      '\u007f',
      '\u00a0',
      '\u00e9',
      '\u2028',
      '\u202e',
      '\uff0f',
      '\ud83d\ude00',
      '\ud800',
    ]) {
      expect(isSafePath(`/${character}`)).toBe(false);
    }
  });

  it.each([1, 2, 3, 4, 5, 9])('is not safe where it is not after %i decodings', (times) => {
    for (const evil of ['//evil.example', '/\\evil.example', '/\t/evil.example']) {
      expect(isSafePath(encoded(evil, times))).toBe(false);
    }
  });

  it('is safe with a few encodings that come to an end', () => {
    expect(isSafePath('/a%252Fb')).toBe(true);
    expect(isSafePath(encoded('/a&b', 3))).toBe(true);
    expect(isSafePath(encoded('/a&b', 6))).toBe(false);
  });

  it('is not safe where it cannot be decoded', () => {
    for (const path of ['/%', '/%4', '/%zz', '/%ff', '/%c0%af', '/%25zz'])
      expect(isSafePath(path)).toBe(false);
  });

  it('may be a thousand characters long', () => {
    expect([isSafePath(`/${'a'.repeat(999)}`), isSafePath(`/${'a'.repeat(1_000)}`)]).toEqual([true, false]);
  });
});

describe('where a seller lands', () => {
  it("is the company's page of the extension", () => {
    expect(landingUrl('https://ext.example', '42', undefined)).toBe('https://ext.example/company/42');
    expect(landingUrl('https://ext.example/app', 'a.b', undefined)).toBe(
      'https://ext.example/app/company/a.b',
    );
    expect(landingUrl('https://ext.example', '../x?y', undefined)).toBe(
      'https://ext.example/company/..%2Fx%3Fy',
    );
  });

  it('is a path that was asked for, on the origin of the extension', () => {
    expect(landingUrl('https://ext.example:8443/app', '42', '/a?b#c')).toBe('https://ext.example:8443/a?b#c');
    expect(landingUrl('https://ext.example/app', '42', '/../../a')).toBe('https://ext.example/a');
  });

  it('is nowhere, where the extension has no pages', () => {
    expect(landingUrl(null, '42', undefined)).toBeNull();
    expect(landingUrl(null, '42', '/a')).toBeNull();
  });

  it.each([
    '//evil.example',
    '/\\evil.example',
    'https://evil.example',
    '/\t/evil.example',
    'javascript:alert(1)',
  ])('is nowhere, should %j ever come so far', (path) =>
    expect(landingUrl('https://ext.example', '42', path)).toBeNull(),
  );
});
