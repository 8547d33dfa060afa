import { expect } from '@jest/globals';
import type { Answer } from './http.js';

/** How long fetches took, in milliseconds. */
export interface FetchTimes {
  readonly medianMs: number;
  readonly p99Ms: number;
}

const FETCHES = 500;

/**
 * Fetches one after the other; each has to bring a token. Of several rounds the quietest counts: what slows down all of
 * them is what was done to the broker, and not what the machine does besides.
 */
export async function timeFetches(fetchToken: () => Promise<Answer>, rounds = 1): Promise<FetchTimes> {
  const all: FetchTimes[] = [];
  for (let round = 0; round < rounds; round += 1) all.push(await timeRound(fetchToken));
  return all.reduce((one, other) => (other.p99Ms < one.p99Ms ? other : one));
}

async function timeRound(fetchToken: () => Promise<Answer>): Promise<FetchTimes> {
  const times: number[] = [];
  for (let count = 0; count < FETCHES; count += 1) {
    const began = performance.now();
    expect((await fetchToken()).status).toBe(200);
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return { medianMs: times[FETCHES / 2] ?? NaN, p99Ms: times[FETCHES * 0.99] ?? NaN };
}
