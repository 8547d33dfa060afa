import { describe, expect, it } from '@jest/globals';
import { isLoopbackHost, isPrivateAddress } from './addresses.js';

describe('an address', () => {
  it.each([
    ['0.0.0.0', '0.255.255.255'],
    ['10.0.0.0', '10.255.255.255'],
    ['100.64.0.0', '100.127.255.255'],
    ['169.254.0.0', '169.254.169.254'],
    ['172.16.0.0', '172.31.255.255'],
    ['192.0.0.0', '192.0.0.255'],
    ['192.168.0.0', '192.168.255.255'],
    ['198.18.0.0', '198.19.255.255'],
    ['224.0.0.1', '255.255.255.255'],
    ['::', '64:ff9b::a9fe:a9fe'],
    ['fc00::1', 'fdff:ffff::1'],
    ['fe80::1', 'febf::1'],
    ['ff02::1', 'FF02::1'],
    ['::ffff:10.0.0.1', '::ffff:169.254.169.254'],
    ['::ffff:a9fe:a9fe', '::ffff:c0a8:1'],
  ])('from %s to %s is private', (first, last) => {
    expect([isPrivateAddress(first), isPrivateAddress(last)]).toEqual([true, true]);
  });

  it.each([
    ['1.0.0.0', '9.255.255.255'],
    ['11.0.0.0', '100.63.255.255'],
    ['100.128.0.0', '169.253.255.255'],
    ['169.255.0.0', '172.15.255.255'],
    ['172.32.0.0', '191.255.255.255'],
    ['192.0.1.0', '192.167.255.255'],
    ['192.169.0.0', '198.17.255.255'],
    ['198.20.0.0', '223.255.255.255'],
    ['2606:4700::1111', '2001:4860:4860::8888'],
    ['::ffff:8.8.8.8', '::ffff:808:808'],
  ])('from %s to %s is of the Internet', (first, last) => {
    expect([isPrivateAddress(first), isPrivateAddress(last)]).toEqual([false, false]);
  });

  it.each(['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1'])(
    '%s is loopback, not private',
    (address) => {
      expect([isPrivateAddress(address), isLoopbackHost(address)]).toEqual([false, true]);
    },
  );

  it('is of no kind where it is none', () => {
    for (const text of [
      '',
      'example',
      '10.0.0',
      '10.0.0.256',
      '10.0.0.1:80',
      '[fc00::1]',
      'fc00::1/7',
      ' 10.0.0.1',
    ]) {
      expect([text, isPrivateAddress(text)]).toEqual([text, false]);
    }
  });
});

describe('the host of a URL', () => {
  it.each([
    'http://localhost:1',
    'http://LOCALHOST',
    'http://127.1',
    'http://[::1]:8080',
    'http://2130706433',
  ])('%s is on loopback', (url) => expect(isLoopbackHost(new URL(url).hostname)).toBe(true));

  it.each([
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'http://evil.example',
    'http://10.0.0.1',
    'http://0.0.0.0',
    'http://[::]',
    'http://[fe80::1]',
    'http://128.0.0.1',
  ])('%s is not', (url) => expect(isLoopbackHost(new URL(url).hostname)).toBe(false));
});
