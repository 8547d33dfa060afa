import { isUuid } from '../shared/ids.js';
import { invalid } from '../shared/problem.js';

/** A cursor names the last item of the page before, by its id; it is opaque to callers. */
export function writeCursor(lastId: string): string {
  return Buffer.from(lastId).toString('base64url');
}

/** Throws Problem `invalid_request` where the text is no cursor of ours. */
export function readCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString();
  if (isUuid(id) && writeCursor(id) === cursor) return id;
  throw invalid('cursor', 'must be the next_cursor of a page before');
}
