import type { UpstreamResult } from '../provider/upstream.js';

/**
 * What asking with a token that should be alive came to. Refused with a 401 it was ended at the provider, by an uninstall;
 * `unclear` is an answer that is about something else, `away` is none.
 */
export type TestAnswer = 'alive' | 'ended' | 'unclear' | 'away';

export function readTest(result: UpstreamResult): TestAnswer {
  if (result.kind === 'failed' || result.status >= 500 || result.status === 429) return 'away';
  if (result.status === 401) return 'ended';
  // A 403 is about a permission: whoever is told that, is known.
  return (result.status >= 200 && result.status < 300) || result.status === 403 ? 'alive' : 'unclear';
}
