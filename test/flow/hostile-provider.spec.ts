import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { good, MARK, MB, useBesieged } from '../support/besieged.js';
import {
  answer,
  HostileServer,
  says,
  saysAndLeaves,
  saysForEver,
  type Act,
} from '../support/hostile-server.js';
import { UI_URL } from '../support/world.js';

const HTML = `<html><body>${MARK}</body></html>`;
const NESTED = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
const MEMBER = gzipSync(Buffer.alloc(MB));
const BOMB = Buffer.concat(Array<Buffer>(240).fill(MEMBER));
const BEGUN = `HTTP/1.1 200 OK\r\ncontent-length: ${50 * MB}\r\n\r\n{"${MARK}":"`;
const CHUNKED = `HTTP/1.1 200 OK\r\nx-note: ${MARK}\r\ntransfer-encoding: chunked\r\n\r\n`;
const CHUNK = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
const HINT = 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n';

const packed = (how: (body: string) => Buffer, encoding: string): Act =>
  says(() => answer(200, how(good()), { 'content-encoding': encoding }));

/** What each failure is to a caller, and to a seller. */
const MEANS = {
  redirected: [502, 'provider_misconfigured', 'is not set up rightly'],
  malformed_answer: [502, 'provider_protocol_error', 'answered something unexpected'],
  answer_too_large: [502, 'provider_protocol_error', 'answered something unexpected'],
  token_missing: [502, 'provider_protocol_error', 'answered something unexpected'],
  connection_lost: [503, 'provider_unavailable', 'cannot be reached now'],
  timed_out: [503, 'provider_unavailable', 'cannot be reached now'],
} as const;

const besieged = useBesieged();
const { hostile } = besieged;

async function expectFailure(act: Act, failure: keyof typeof MEANS): Promise<void> {
  const { proof, page, renewal } = await besieged.suffer(act);
  const [status, code, text] = MEANS[failure];
  expect([proof.status, proof.body['code']]).toEqual([status, code]);
  expect(proof.body['detail']).toContain(`(${failure})`);
  expect([page.status, page.headers.get('content-type')]).toEqual([status, 'text/html; charset=utf-8']);
  expect(page.text).toContain(text);
  expect([renewal.status, renewal.body['code']]).toEqual([status, code]);
  const kept = await besieged.world.sql(`select company_id, last_error, token_version from connections
                                          where provider in ('fynd', 'konnect')`);
  expect(kept).toEqual([{ company_id: '42', last_error: failure, token_version: 1 }]);
  expect((await besieged.fetchToken('fynd', '42')).body).toMatchObject({ version: 1, stale: true });
}

async function expectTokens(act: Act): Promise<void> {
  const { proof, page, renewal } = await besieged.suffer(act);
  expect([proof.status, proof.body['token_version']]).toEqual([201, 1]);
  expect(page.headers.get('location')).toBe(`${UI_URL}/company/43`);
  expect(renewal.body).toMatchObject({ version: 2, stale: false });
}

describe('only the provider fails when it', () => {
  const elsewhere = new HostileServer();
  beforeAll(() => elsewhere.open());
  afterAll(() => elsewhere.close());

  it.each([301, 302, 303, 307, 308])('redirects with %i: nobody goes there', async (status) => {
    await expectFailure(
      says(() => answer(status, good(), { location: `${elsewhere.url}/${MARK}` })),
      'redirected',
    );
    expect(elsewhere.sockets).toHaveLength(0);
  });

  it.each<[string, Act]>([
    ['a page', says(answer(200, HTML))],
    ['a page for an error', says(answer(403, HTML, { 'content-type': 'text/html' }))],
    ['nothing', says(answer(200, ''))],
    ['nothing for an error', says(answer(401, ''))],
    ['204', says(`HTTP/1.1 204 ${MARK}\r\n\r\n`)],
    ['brackets that never close', says(answer(200, '['.repeat(100_000)))],
    ['what it calls gzip', says(() => answer(200, good(), { 'content-encoding': 'gzip' }))],
    ['half of a gzip', packed((body) => gzipSync(body).subarray(0, 40), 'gzip')],
    ['gzip in gzip', packed((body) => gzipSync(gzipSync(body)), 'gzip, gzip')],
    ['brotli, unasked', packed(brotliCompressSync, 'br')],
    ['deflate, unasked', packed(deflateSync, 'deflate')],
    ['what is not HTTP', says(`${MARK}\r\n\r\n`)],
    ['TLS', says(Buffer.from('15030300020228', 'hex'))],
    ['two lengths', says(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 9\r\n\r\n{"${MARK}"`)],
    ['a length and chunks', says(`${CHUNKED.slice(0, -2)}content-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n`)],
    ['a broken header', says(`HTTP/1.1 200 OK\r\n${MARK}\0: x\r\ncontent-length: 2\r\n\r\n{}`)],
    ['a chunk of no size', says(`${CHUNKED}${MARK}\r\n`)],
    ['a chunk extension without end', saysForEver(`${CHUNKED}2;`, `${MARK};`)],
    ['trailers without end', saysForEver(`${CHUNKED}2\r\n{}\r\n0\r\n`, `x-note: ${MARK}\r\n`)],
    ['half a body', saysAndLeaves(BEGUN)],
    ['half a body, and resets', saysAndLeaves(BEGUN, 'resetAndDestroy')],
    ['some of its chunks', saysAndLeaves(`${CHUNKED}2\r\n{}\r\n`)],
  ])('answers %s', (_what, act) => expectFailure(act, 'malformed_answer'));

  it.each<[string, string]>([
    ['a list', '["access_token"]'],
    ['a number', '7'],
    ['null', 'null'],
    ['a text', `"${MARK}"`],
    ['true', 'true'],
    ['nested lists', NESTED],
    ['a prototype with a token', `{"__proto__":${good()},"constructor":${good()}}`],
    ['a token that is a number', good({ access_token: 1e300 })],
    ['a token that is an object', good({ access_token: { toString: MARK } })],
    ['a list of tokens', good({ access_token: [MARK] })],
    ['an empty token', good({ access_token: '' })],
    ['a token of 20 KB', good({ access_token: 'x'.repeat(20_480) })],
    ['a token with a line break', good({ access_token: `a\r\nset-cookie: ${MARK}` })],
  ])('answers JSON that is %s', (_what, body) => expectFailure(says(answer(200, body)), 'token_missing'));

  it.each<[string, Act]>([
    ['a gzip of 240 MB', says(answer(200, BOMB, { 'content-encoding': 'gzip' }))],
    ['a header of 1 MB', says(`HTTP/1.1 200 OK\r\nx-note: ${MARK.repeat(60_000)}\r\n\r\n`)],
    ['10,000 headers', says(`HTTP/1.1 200 OK\r\n${`x-note: ${MARK}\r\n`.repeat(10_000)}\r\n`)],
    ['a whole answer of 257 KB', says(answer(200, `${good()}${' '.repeat(257 * 1_024)}`))],
    ['50 MB', saysForEver(BEGUN, 'x'.repeat(MB))],
    ['chunks without end', saysForEver(CHUNKED, CHUNK)],
    ['an error without end', saysForEver('HTTP/1.0 500 No\r\n\r\n', 'x'.repeat(MB))],
    ['gzip without end', saysForEver('HTTP/1.0 200 OK\r\ncontent-encoding: gzip\r\n\r\n', MEMBER)],
    ['100 Continue without end', saysForEver('', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2_000))],
    ['103 Early Hints without end', saysForEver('', HINT.repeat(2_000))],
    ['empty lines without end', saysForEver('', '\r\n'.repeat(2_000))],
  ])('answers %s, and that is not taken', async (_what, act) => {
    const since = hostile.sockets.length;
    await expectFailure(act, 'answer_too_large');
    // What the buffers of both sides hold is all that could be written.
    const written = hostile.sockets.slice(since).map(({ bytesWritten }) => bytesWritten);
    expect(Math.max(...written)).toBeLessThan(16 * MB);
  });

  it.each<[string, Act]>([
    ['says nothing', () => undefined],
    ['switches to another protocol', says('HTTP/1.1 101 Ok\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')],
    ['drips a body', saysForEver(BEGUN, 'x', 20)],
    ['drips chunks', saysForEver(CHUNKED, '1\r\nx\r\n', 20)],
    ['drips its headers', saysForEver(`HTTP/1.1 200 OK\r\nx-note: ${MARK}`, 'x', 20)],
    ['drips hints', saysForEver('', HINT, 20)],
  ])('%s', (_what, act) => expectFailure(act, 'timed_out'));

  it.each<[string, Act]>([
    ['hangs up', saysAndLeaves('')],
    ['hangs up amid its headers', saysAndLeaves('HTTP/1.1 200 OK\r\ncontent-le')],
    ['resets', saysAndLeaves('', 'resetAndDestroy')],
    ['resets amid its headers', saysAndLeaves('HTTP/1.1 200 OK\r\ncontent-le', 'resetAndDestroy')],
  ])('%s', (_what, act) => expectFailure(act, 'connection_lost'));
});

describe('a token is taken', () => {
  const inBody = (body: () => string): Act => says(() => answer(200, body()));

  it.each<[string, Act]>([
    ['out of gzip', packed(gzipSync, 'gzip')],
    ['out of what calls itself a page', says(() => answer(200, good(), { 'content-type': 'text/html' }))],
    ['without a length, from HTTP/1.0', (socket) => void socket.end(`HTTP/1.0 200 OK\r\n\r\n${good()}`)],
    ['after a byte order mark', inBody(() => `\ufeff${good()}`)],
    ['with deep lists beside it', inBody(() => good({ deep: 0 }).replace('"deep":0', `"deep":${NESTED}`))],
    ['of two with one key: the last', inBody(() => `{"access_token":7,${good().slice(1)}`)],
    ['with a prototype beside it', inBody(() => `{"__proto__":{"access_token":7},${good().slice(1)}`)],
    [
      'before what is no HTTP',
      says(() => Buffer.concat([answer(200, good()), Buffer.from(`${MARK}\r\n\r\n`)])),
    ],
    ['after a few hints', says(() => `${HINT.repeat(3)}${String(answer(200, good()))}`)],
  ])('%s', (_what, act) => expectTokens(act));

  it('from an answer that was asked for as it is, on a connection of its own', async () => {
    const [sockets, requests] = [hostile.sockets.length, hostile.requests.length];
    await expectTokens(says(() => answer(200, good(), { connection: 'keep-alive' })));
    const asked = hostile.requests.slice(requests);
    expect(asked.filter((text) => /^accept-encoding: identity\r$/im.test(text))).toEqual(asked);
    expect(hostile.sockets.length - sockets).toBe(asked.length);
  });

  it.each([0, 30])('once from an answer: a second one %i ms later is not the next company’s', async (ms) => {
    hostile.act = (socket, request) => {
      const isFirst = request.includes('username=first');
      const token = (whose: string): Buffer =>
        answer(200, good({ access_token: `test-secret-${whose}` }), { connection: 'keep-alive' });
      // Late enough for what is left of the first to be there before it.
      if (!isFirst) return void setTimeout(() => socket.write(token('next')), 300);
      if (ms === 0) return void socket.write(Buffer.concat([token('first'), token('stolen')]));
      socket.write(token('first'));
      setTimeout(() => socket.write(token('stolen')), ms);
    };
    for (const company of ['first', 'next']) {
      expect((await besieged.prove('konnect', company)).status).toBe(201);
      const { body } = await besieged.fetchToken('konnect', company);
      expect(body['access_token']).toBe(`test-secret-${company}`);
    }
  });
});
