import { Secret } from '../shared/secret.js';

/** The JSON of an answer, but for the token, which stands in it twice, and for the seconds that it still lives. */
export interface Frame {
  readonly beforeToken: string;
  readonly beforeHeader: string;
  readonly beforeSeconds: string;
  readonly end: string;
}

/** Stands where a token is to be. Nothing that is in an answer looks like it, and JSON leaves it as it is. */
const HERE = '(the token is to stand here)';
const PLACEHOLDER = new Secret(HERE);
const SECONDS = /"expires_in":(-?\d+|null)/;

/**
 * What every answer of this token has in common: `shape` makes one of a token that it is given. Undefined where it is more
 * than the token and its seconds that changes, so that each answer has to be written as a whole.
 */
export function frameOf(shape: (token: Secret) => object): Frame | undefined {
  const [beforeToken, beforeHeader, rest, ...more] = JSON.stringify(shape(PLACEHOLDER)).split(HERE);
  // A name stands in no text of a JSON without a backslash before its quotes.
  const seconds = rest === undefined ? null : SECONDS.exec(rest);
  if (beforeToken === undefined || beforeHeader === undefined || rest === undefined) return undefined;
  if (!seconds || seconds[1] === 'null' || more.length > 0) return undefined;
  const at = seconds.index + '"expires_in":'.length;
  const end = seconds.index + seconds[0].length;
  return { beforeToken, beforeHeader, beforeSeconds: rest.slice(0, at), end: rest.slice(end) };
}

/** A token as it stands in JSON. */
export function jsonOf(token: Secret): Secret {
  return new Secret(JSON.stringify(token.reveal()).slice(1, -1));
}
