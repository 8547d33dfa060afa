import { expect, it } from '@jest/globals';
import type { Secret } from '../shared/secret.js';
import { frameOf } from './token-text.js';

interface Shape {
  readonly expires_in?: number | null;
  readonly scopes?: readonly string[];
}

const shapeOf =
  ({ expires_in: expiresIn = 3_540, scopes = ['company/products'] }: Shape) =>
  (token: Secret): object => ({
    access_token: token.reveal(),
    header: { name: 'authorization', value: `Bearer ${token.reveal()}` },
    expires_in: expiresIn,
    scopes,
  });

it('an answer has a frame that says all but the token and the seconds', () => {
  expect(frameOf(shapeOf({}))).toEqual({
    beforeToken: '{"access_token":"',
    beforeHeader: '","header":{"name":"authorization","value":"Bearer ',
    beforeSeconds: '"},"expires_in":',
    end: ',"scopes":["company/products"]}',
  });
});

it('it has none where more than the token changes, or not as this knows it', () => {
  expect(frameOf(shapeOf({ expires_in: null }))).toBeUndefined();
  const encoded = (token: Secret): object => ({ ...shapeOf({})(token), header: btoa(token.reveal()) });
  expect(frameOf(encoded)).toBeUndefined();
  expect(frameOf(shapeOf({ scopes: ['(the token is to stand here)'] }))).toBeUndefined();
});
