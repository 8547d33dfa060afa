import type { Attempt } from './attempt.js';
import type { Sight } from './row.js';

/** The smallest thing that happens, with all that was there before and after it. */
export interface Turn {
  readonly kind: 'claim' | 'begin' | 'deliver' | 'report' | 'adopt' | 'outside' | 'time';
  /** What an outside change does. */
  readonly change?: string;
  /** Whom it is about; undefined: nobody, or all. */
  readonly company?: string | undefined;
  /** What was claimed, or begun, or delivered. */
  readonly attempts: readonly Attempt[];
  /** Of a claim by somebody who waits: the version that was too short. */
  readonly wanting?: number | undefined;
  readonly before: Sight;
  readonly after: Sight;
}

/** What the rules remember of a connection. */
export interface Trail {
  /** Tokens and grants that were kept, and ends. */
  commits: number;
  /** Grants that were traded for another which is kept. */
  readonly retired: Set<string>;
  /** Every attempt since the last commit. */
  attempts: Attempt[];
  /** Leases that nobody came back from since the last commit. */
  crashes: number;
  /** When what is not answered was first claimed, by the database's clock. */
  unansweredSince: number | null;
  /** A caller has caused an attempt that brought nothing new. */
  hasAsked: boolean;
  /** Somebody had the dead tried again. */
  isRevived: boolean;
  /** Somebody from outside opened the way: an operator's try, a revival, the same grant kept again. */
  isFreed: boolean;
}

export function freshTrail(): Trail {
  return {
    commits: 0,
    retired: new Set(),
    attempts: [],
    crashes: 0,
    unansweredSince: null,
    hasAsked: false,
    isRevived: false,
    isFreed: false,
  };
}

/** What a rule forbids has happened. */
export class Broken extends Error {
  constructor(rule: string, what: unknown) {
    super(`${rule}\n${JSON.stringify(what, null, 1)}`);
    this.name = 'Broken';
  }
}

export function mustBe(isKept: boolean, rule: string, what: () => unknown): void {
  if (!isKept) throw new Broken(rule, what());
}
