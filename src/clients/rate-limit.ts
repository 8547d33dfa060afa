import { Problem } from '../shared/problem.js';

/** How many there may be in a window of time, which begins with the first. */
export interface Policy {
  readonly name: string;
  readonly quota: number;
  /** Seconds. */
  readonly windowS: number;
}

/**
 * The headers of draft-ietf-httpapi-ratelimit-headers.
 *
 * @param resetMs until the window is over
 */
export function rateLimitHeaders(
  { name, quota, windowS }: Policy,
  remaining: number,
  resetMs: number,
): Record<string, string> {
  return {
    'ratelimit-policy': `"${name}";q=${quota};w=${windowS}`,
    ratelimit: `"${name}";r=${remaining};t=${Math.ceil(resetMs / 1_000)}`,
  };
}

/** Problem `rate_limited`: it was one too many, and waiting helps. */
export function rateLimited(policy: Policy, detail: string, resetMs: number): Problem {
  const waitS = Math.max(1, Math.ceil(resetMs / 1_000));
  return new Problem(
    'rate_limited',
    detail,
    { retry_after: waitS },
    { headers: rateLimitHeaders(policy, 0, waitS * 1_000) },
  );
}
