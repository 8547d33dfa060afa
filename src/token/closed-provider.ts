import { Problem, type ProblemCode } from '../shared/problem.js';
import type { Connection } from './connection.js';
import type { ClosedBecause } from './room.js';

/** When to come back to a provider that a person has to open again, in seconds. */
const RETRY_AFTER_S = 30;

const WORDS: Readonly<Record<ClosedBecause, readonly [ProblemCode, string]>> = {
  paused: [
    'provider_unavailable',
    'An operator has paused this provider, and the token in hand does not do: nothing is renewed until it is resumed.',
  ],
  mass_refusals: [
    'provider_unavailable',
    'This provider has refused too many connections at once, and nobody asks it until an operator has looked: resume it, or revive what it has ended.',
  ],
  misconfigured: [
    'provider_misconfigured',
    "The provider refuses the broker's own client credentials; an operator has to correct them.",
  ],
  rate_limited: [
    'provider_unavailable',
    'The provider is asked too often, by its own word, and the token in hand does not do: ask again after Retry-After.',
  ],
  unreachable: [
    'provider_unavailable',
    'The provider fails again and again, and the token in hand does not do: ask again after Retry-After.',
  ],
};

/** What somebody is told who waits for a provider that nobody may ask now. `waitS`: when that ends by itself, if it does. */
export function closedProblem({ id }: Connection, because: ClosedBecause, waitS: number): Problem {
  const [code, detail] = WORDS[because];
  const endsByItself = because === 'rate_limited' || because === 'unreachable';
  return new Problem(code, detail, {
    connection_id: id,
    retry_after: endsByItself ? Math.max(1, Math.ceil(waitS)) : RETRY_AFTER_S,
  });
}
