import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  AddressLimit,
  networkOf,
  tooManyUnknown,
  UNKNOWN_CREDENTIALS,
} from '../../src/clients/address-limit.js';
import { MOST_NAMES } from '../../src/clients/counted-windows.js';
import { createAdapter } from '../../src/http/adapter.js';
import { Listeners } from '../../src/http/listeners.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { ask } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';

const { quota, windowS } = UNKNOWN_CREDENTIALS;
const HERE = '203.0.113.7';
let clock: TestClock;
let limit: AddressLimit;

beforeEach(() => {
  clock = new TestClock();
  limit = new AddressLimit(clock, new Metrics());
});

const takeAll = (address: string): (number | undefined)[] =>
  Array.from({ length: quota }, () => limit.take(address));

describe('an address that brings unknown credentials', () => {
  it('may have sixty looked up in ten seconds, and then waits for the rest of them', () => {
    expect([quota, windowS]).toEqual([60, 10]);
    expect(takeAll(HERE).filter((wait) => wait !== undefined)).toEqual([]);
    expect(limit.take(HERE)).toBe(10);
    clock.advance(7);
    expect(limit.take(HERE)).toBe(3);
    clock.advance(3.1);
    expect(takeAll(HERE)).not.toContainEqual(expect.any(Number));
    expect(limit.take(HERE)).toBe(10);
  });

  it('waits no longer for asking again', () => {
    takeAll(HERE);
    for (let second = 0; second < 10; second += 1) {
      expect(limit.take(HERE)).toBe(10 - second);
      clock.advance(1);
    }
    clock.advance(0.1);
    expect(limit.take(HERE)).toBeUndefined();
  });

  it('has one more where one of them turned out to be real, however often it was refused meanwhile', () => {
    takeAll(HERE);
    for (let refused = 0; refused < 5; refused += 1) expect(limit.take(HERE)).toBe(10);
    limit.giveBack(HERE);
    expect([limit.take(HERE), limit.take(HERE)]).toEqual([undefined, 10]);
  });

  it('leaves every other address alone', () => {
    takeAll(HERE);
    expect(limit.take('203.0.113.8')).toBeUndefined();
  });

  it('is not counted for what turned out to be real', () => {
    for (let key = 0; key < 10 * quota; key += 1) {
      expect(limit.take(HERE)).toBeUndefined();
      limit.giveBack(HERE);
    }
    // What is given back for nothing is no credit.
    limit.giveBack(HERE);
    limit.giveBack('203.0.113.9');
    takeAll(HERE);
    expect(limit.take(HERE)).toBe(10);
  });

  it('is told how long to wait, as every caller that sends too much', () => {
    const { status, code, extensions, headers } = tooManyUnknown(7);
    expect({ status, code, extensions, headers }).toEqual({
      status: 429,
      code: 'rate_limited',
      extensions: { retry_after: 7 },
      headers: {
        'ratelimit-policy': '"unknown-credentials";q=60;w=10',
        ratelimit: '"unknown-credentials";r=0;t=7',
      },
    });
  });
});

describe('very many addresses', () => {
  const nth = (number: number): string => `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;

  it('take no more memory, and lock nobody out', () => {
    for (let number = 0; number < 2 * MOST_NAMES; number += 1) {
      expect(limit.take(nth(number))).toBeUndefined();
      expect(limit.take(nth(number))).toBeUndefined();
    }
    expect(limit.size).toBe(MOST_NAMES);
    expect(limit.take(HERE)).toBeUndefined();
    limit.giveBack(HERE);
  });

  it('make it forget those that have been quiet, and not those that go on', () => {
    const quiet = '203.0.113.8';
    takeAll(quiet);
    takeAll(HERE);
    for (let number = 0; number < MOST_NAMES; number += 1) {
      limit.take(nth(number));
      if (number % 1_000 === 0) expect(limit.take(HERE)).toBe(10);
    }
    expect([limit.take(HERE), limit.take(quiet)]).toEqual([10, undefined]);
  });
});

describe('what counts as one address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:4711', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:0001:0002::9', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::9]:4711', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['unknown', 'no address'],
    ['_hidden', 'no address'],
    ['', 'no address'],
    ['1.2.3', 'no address'],
    [undefined, 'no address'],
  ])('%s is of %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  it('is another one in another network of the same provider', () => {
    const networks = ['2001:db8:1:2::1', '2001:db8:1:3::1', '2001:db8:2:2::1'].map(networkOf);
    expect(new Set(networks).size).toBe(3);
  });
});

describe('X-Forwarded-For', () => {
  const listeners: Listeners[] = [];
  const urls = new Map<string, string>();

  /** What a request that came over HTTP is counted as. */
  async function open(name: string, trusted: readonly string[], host = '127.0.0.1'): Promise<void> {
    const fastify = createAdapter(trusted).getInstance();
    fastify.get('/v1/seen', ({ ip }) => ({ ip, wait: limit.take(ip) ?? 0 }));
    const opened = new Listeners();
    await opened.open(fastify, { host, port: 0, publicPort: null, opsPort: null, tls: null });
    listeners.push(opened);
    const at = host.includes(':') ? `[${host}]` : host;
    urls.set(name, `http://${at}:${opened.portOf('internal')}/v1/seen`);
  }

  beforeAll(async () => {
    await open('nobody is trusted', []);
    await open('another is trusted', ['198.51.100.1', '10.0.0.0/8']);
    await open('this proxy is trusted', ['127.0.0.1']);
    await open('two hops are trusted', ['127.0.0.1', '10.0.0.0/8']);
    await open('this proxy is trusted over IPv6', ['::1'], '::1');
  });
  afterAll(() => Promise.all(listeners.map((each) => each.close())));

  const seen = async (name: string, forwarded: string): Promise<unknown> =>
    (await ask('GET', urls.get(name) ?? '', { 'x-forwarded-for': forwarded })).body['ip'];

  it.each([
    ['nobody is trusted', '203.0.113.7', '127.0.0.1'],
    ['another is trusted', '203.0.113.7', '127.0.0.1'],
    ['another is trusted', '10.1.2.3', '127.0.0.1'],
    ['this proxy is trusted', '203.0.113.7', '203.0.113.7'],
    ['this proxy is trusted', '1.1.1.1, 203.0.113.7', '203.0.113.7'],
    ['this proxy is trusted', '127.0.0.1, 203.0.113.7', '203.0.113.7'],
    ['this proxy is trusted', '203.0.113.7, 10.1.2.3', '10.1.2.3'],
    ['two hops are trusted', '203.0.113.7, 10.1.2.3', '203.0.113.7'],
    ['two hops are trusted', '1.1.1.1, 10.9.9.9, 203.0.113.7, 10.1.2.3', '203.0.113.7'],
    ['two hops are trusted', '203.0.113.7, 192.0.2.9, 10.1.2.3', '192.0.2.9'],
    ['this proxy is trusted over IPv6', '1.1.1.1, 2001:db8::7', '2001:db8::7'],
  ])('where %s, "%s" comes from %s', async (name, forwarded, ip) => {
    expect(await seen(name, forwarded)).toBe(ip);
  });

  it('of somebody who is not trusted gives nobody a new address', async () => {
    const url = urls.get('another is trusted') ?? '';
    for (let sent = 0; sent < quota; sent += 1)
      await ask('GET', url, { 'x-forwarded-for': `203.0.113.${sent}` });
    const { body } = await ask('GET', url, { 'x-forwarded-for': '198.51.100.1, 203.0.113.200' });
    expect(body).toEqual({ ip: '127.0.0.1', wait: 10 });
  });

  it('gives nobody a new address for what it writes before its own', async () => {
    const url = urls.get('two hops are trusted') ?? '';
    const from = (text: string): Promise<{ body: unknown }> =>
      ask('GET', url, { 'x-forwarded-for': `${text}, ${HERE}, 10.1.2.3` });
    for (let sent = 0; sent < quota; sent += 1) await from(`198.51.100.${sent}`);
    expect((await from('192.0.2.1, 10.7.7.7')).body).toEqual({ ip: HERE, wait: 10 });
    // And takes nothing from whoever was named there.
    expect(limit.take('198.51.100.1')).toBeUndefined();
  });
});
