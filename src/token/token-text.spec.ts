import { describe, expect, it } from '@jest/globals';
import { Secret } from '../shared/secret.js';
import { frameOf, jsonOf, writeToken } from './token-text.js';

interface Shape {
  readonly scheme?: string;
  readonly expires_in?: number | null;
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

describe('the text of an answer', () => {
  it.each<[string, Shape]>([
    ['a bare token', {}],
    ['a token behind a scheme', { scheme: 'Bearer ' }],
    ['one that has ended', { expires_in: -3 }],
    ['a scope that looks like a part of it', { scopes: ['"expires_in":7', '\\"expires_in":7', 'ü'] }],
  ])('is what JSON would make of it: %s', (_, shape) => {
    const frame = frameOf(shapeOf(shape));
    for (const text of ['eyJhbGciOi.x-_', 'with "quotes", \\ and \n', 'ünïcödé \u2028 \ud83d\ude00 \ud800'])
      for (const expires_in of [0, -1, 3_599])
        expect(frame && writeToken(frame, jsonOf(new Secret(text)), expires_in)).toBe(
          JSON.stringify(shapeOf({ ...shape, expires_in })(new Secret(text))),
        );
  });

  it('is put together as a whole where more than the token changes, or not as this knows it', () => {
    expect(frameOf(shapeOf({ expires_in: null }))).toBeUndefined();
    const encoded = (token: Secret): object => ({ ...shapeOf({})(token), header: btoa(token.reveal()) });
    expect(frameOf(encoded)).toBeUndefined();
    expect(frameOf(shapeOf({ scopes: ['(the token is to stand here)'] }))).toBeUndefined();
  });
});
