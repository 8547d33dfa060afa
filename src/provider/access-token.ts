import type { HeaderSettings } from '../config/provider-settings.js';
import { Secret } from '../shared/secret.js';

const MOST_CHARACTERS = 16_384;

/**
 * A token from a provider's answer. Null where it is none that could stand in a header: callers put it there unseen, so
 * a line break in it would be theirs to suffer.
 */
export function readToken(value: unknown): Secret | null {
  if (typeof value !== 'string' || value.length > MOST_CHARACTERS || !/^[\x21-\x7e]+$/.test(value))
    return null;
  return new Secret(value);
}

/** The header that carries a token: behind its scheme, or bare where there is none. */
export function headerFor(
  accessToken: Secret,
  { name, scheme }: HeaderSettings,
): { readonly name: string; readonly value: string } {
  return { name, value: scheme === '' ? accessToken.reveal() : `${scheme} ${accessToken.reveal()}` };
}
