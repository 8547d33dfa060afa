import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { Secret } from './secret.js';

const TEXT = 'test-secret-to-be-kept';
const secret = new Secret(TEXT);

/** Everything that a console prints. */
function printed(print: (console: Console) => void): string {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _, done): void {
      text += chunk.toString();
      done();
    },
  });
  print(new Console(stream));
  return text;
}

describe('a secret', () => {
  it('is told to whoever asks for it by name', () => {
    expect(secret.reveal()).toBe(TEXT);
    expect(new Secret('').reveal()).toBe('');
  });

  const ways: [string, () => string][] = [
    // A template is the very accident that is meant here.
    // eslint-disable-next-line @typescript-eslint/restrict-template-expressions
    ['in a template', () => `${secret}`],
    ['as a text', () => String(secret)],
    ['put together', () => 'a' + String(secret)],
    ['in a list', () => [secret, secret].join()],
    ['as JSON', () => JSON.stringify(secret)],
    ['deep in JSON', () => JSON.stringify({ a: [{ b: secret }], c: secret }, null, 2)],
    ['inspected', () => inspect(secret)],
    [
      'inspected to the bottom',
      () => inspect({ a: { b: { c: [secret] } } }, { depth: null, showHidden: true }),
    ],
    ['inspected by its class alone', () => inspect(secret, { customInspect: false, showHidden: true })],
    ['in a map and a set', () => inspect([new Map([[secret, secret]]), new Set([secret])], { depth: null })],
    ['formatted', () => format('%s %o %O %j', secret, secret, secret, secret)],
    ['by a console', () => printed((console) => console.log(secret, { secret }, [secret]))],
    ['by a console as a table', () => printed((console) => console.table([{ secret }]))],
    ['by a console with %o', () => printed((console) => console.log('%o %O %s', secret, secret, secret))],
    ['by a console as a tree', () => printed((console) => console.dir({ secret }, { depth: null }))],
    ['as an error', () => inspect(new Error('failed', { cause: secret }))],
    [
      'by its parts',
      () => JSON.stringify([Object.entries(secret), Object.getOwnPropertyNames(secret), { ...secret }]),
    ],
    ['as a clone', () => inspect(structuredClone({ ...secret }))],
  ];
  it.each(ways)('is not shown %s', (_, show) => {
    expect(show()).not.toContain(TEXT);
  });

  it('is shown as [secret] instead', () => {
    expect(ways.slice(0, 7).map(([, show]) => show())).toEqual([
      '[secret]',
      '[secret]',
      'a[secret]',
      '[secret],[secret]',
      '"[secret]"',
      expect.stringMatching(/"b": "\[secret\]"[^]*"c": "\[secret\]"/),
      '[secret]',
    ]);
  });
});
