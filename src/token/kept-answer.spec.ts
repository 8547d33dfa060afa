import { describe, expect, it } from '@jest/globals';
import { Secret } from '../shared/secret.js';
import { KeptAnswer } from './kept-answer.js';
import { frameOf, jsonOf } from './token-text.js';

interface Shape {
  readonly scheme?: string;
  readonly expires_in?: number;
  readonly scopes?: readonly string[];
}

const shapeOf =
  ({ scheme = '', expires_in: expiresIn = 3_540, scopes = ['company/products'] }: Shape) =>
  (token: Secret): object => ({
    access_token: token.reveal(),
    header: { name: 'authorization', value: `${scheme}${token.reveal()}` },
    base_url: 'https://api.provider.example',
    expires_in: expiresIn,
    scopes,
    connection_id: 'c',
  });

const keep = (shape: Shape, token: string): KeptAnswer | undefined => {
  const frame = frameOf(shapeOf(shape));
  return frame && KeptAnswer.of(frame, jsonOf(new Secret(token)));
};
const TOKENS = [
  '',
  'x',
  'eyJhbGciOi.x-_',
  'with "quotes", \\ and \n',
  'ünïcödé \u2028 \ud83d\ude00 \ud800 \u0080ÿ',
  'a long one '.repeat(186),
];

describe('an answer that is kept', () => {
  it.each<[string, Shape]>([
    ['a bare token', {}],
    ['a token behind a scheme', { scheme: 'Bearer ' }],
    ['a scope that looks like a part of it', { scopes: ['"expires_in":7', '\\"expires_in":7', 'ü'] }],
    ['a long frame', { scopes: Array.from({ length: 100 }, (_, at) => `a scope that has the number ${at}`) }],
  ])('is what JSON would make of it: %s', (_, shape) => {
    const answers = TOKENS.map((token) => [token, keep(shape, token)] as const);
    // By turns: all are put together in the same place.
    for (const expires_in of [0, -1, 3_599, -Number.MAX_SAFE_INTEGER])
      for (const [token, answer] of answers)
        expect(answer?.write(expires_in)).toBe(
          JSON.stringify(shapeOf({ ...shape, expires_in })(new Secret(token))),
        );
  });

  it('is none where the token, or all else, is too long', () => {
    expect([keep({}, 'x'.repeat(2_048)), keep({}, 'ü'.repeat(1_024))]).not.toContain(undefined);
    expect([keep({}, 'x'.repeat(2_049)), keep({}, 'ü'.repeat(1_025))]).toEqual([undefined, undefined]);
    expect(keep({ scopes: ['x'.repeat(3_700)] }, 'x')?.write(-1)).toContain('"expires_in":-1,"scopes":["x');
    expect(keep({ scopes: ['x'.repeat(4_000)] }, 'x')).toBeUndefined();
    expect(keep({ scopes: ['ü'.repeat(2_000)] }, 'x')).toBeUndefined();
  });
});
