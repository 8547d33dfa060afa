import {
  array,
  boolean,
  constant,
  constantFrom,
  integer,
  nat,
  oneof,
  option,
  record,
  type Arbitrary,
} from 'fast-check';
import type { Rotation } from '../../src/config/provider-shapes.js';
import type { Truth } from './grantor.js';

/** How a provider answers one call. Only `honest` and `same_token` are what its books say. */
export const REACTIONS = [
  'honest',
  'same_token',
  'refused_wrongly',
  'bare_refusal',
  'misconfigured',
  'away',
  'lost_acted',
  'lost_idle',
  'rate_limited',
] as const;

export type Reaction = (typeof REACTIONS)[number];

/** What is to become of an attempt. */
export interface Plan {
  readonly reaction: Reaction;
  /** Seconds that a token lives; null: for ever. */
  readonly life: number | null;
  /** Seconds that a 429 asks for; null where it does not say. */
  readonly retryAfter: number | null;
  /** `stalled`: its process stands still right before it sends; `held`: the answer is on its way. */
  readonly until: 'kept' | 'held' | 'stalled';
}

const OUTSIDE = [
  'pause',
  'resume',
  'revoke',
  'withdraw',
  'pause_provider',
  'resume_provider',
  'revive',
] as const;

/** One thing that happens. Numbers are taken modulo what there is. */
export type Step =
  | { readonly do: 'tick'; readonly replica: number; readonly limit: number; readonly plans: readonly Plan[] }
  | {
      readonly do: 'want';
      readonly replica: number;
      readonly company: number;
      readonly pass: 'nothing' | 'backoff' | 'everything';
      readonly isBehind: boolean;
      readonly plan: Plan;
    }
  | { readonly do: 'report'; readonly replica: number; readonly company: number; readonly plan: Plan }
  | { readonly do: 'send'; readonly which: number }
  | { readonly do: 'deliver'; readonly which: number; readonly crashAfter: number | null }
  | { readonly do: 'crash'; readonly replica: number }
  | {
      readonly do: 'adopt';
      readonly company: number;
      readonly isSame: boolean;
      readonly withToken: boolean;
      readonly paused: boolean | null;
      readonly unlessLiving: boolean;
    }
  | { readonly do: (typeof OUTSIDE)[number]; readonly company: number }
  | { readonly do: 'time'; readonly seconds: number }
  /** Until the next moment at which anything is due. */
  | { readonly do: 'wait' }
  | { readonly do: 'database_clock'; readonly seconds: number }
  | { readonly do: 'live'; readonly seconds: number; readonly plan: Plan };

/** A provider and how it is configured. */
export interface Scene {
  readonly truth: Truth;
  readonly rotation: Rotation;
  readonly ratePerSecond: number;
  readonly concurrency: number;
  readonly companies: number;
  /** Where all that is drawn while it plays comes from. */
  readonly draws: number;
}

const plans: Arbitrary<Plan> = record({
  reaction: oneof(
    { weight: 3, arbitrary: constantFrom<Reaction>('honest') },
    { weight: 4, arbitrary: constantFrom(...REACTIONS) },
  ),
  life: constantFrom(3_600, 60, 100, 86_400, null),
  retryAfter: constantFrom(null, 0, 60, 900),
  until: oneof(
    { weight: 4, arbitrary: constantFrom<Plan['until']>('kept') },
    { weight: 2, arbitrary: constantFrom<Plan['until']>('held', 'stalled') },
  ),
});
const company = nat(9);
const replica = nat(2);

const steps: Arbitrary<Step> = oneof(
  {
    weight: 6,
    arbitrary: record<Step & { do: 'tick' }>({
      do: constantFrom('tick'),
      replica,
      limit: integer({ min: 1, max: 8 }),
      plans: array(plans, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: record<Step & { do: 'want' }>({
      do: constantFrom('want'),
      replica,
      company,
      pass: constantFrom('nothing', 'nothing', 'nothing', 'backoff', 'everything'),
      isBehind: boolean(),
      plan: plans,
    }),
  },
  {
    weight: 2,
    arbitrary: record<Step & { do: 'report' }>({ do: constantFrom('report'), replica, company, plan: plans }),
  },
  { weight: 2, arbitrary: record<Step & { do: 'send' }>({ do: constantFrom('send'), which: nat(9) }) },
  {
    weight: 4,
    arbitrary: record<Step & { do: 'deliver' }>({
      do: constantFrom('deliver'),
      which: nat(9),
      crashAfter: option(nat(2), { freq: 6 }),
    }),
  },
  { weight: 1, arbitrary: record<Step & { do: 'crash' }>({ do: constantFrom('crash'), replica }) },
  {
    weight: 2,
    arbitrary: record<Step & { do: 'adopt' }>({
      do: constantFrom('adopt'),
      company,
      isSame: boolean(),
      withToken: boolean(),
      paused: constantFrom(null, null, false, true),
      unlessLiving: boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: record<Step & { do: (typeof OUTSIDE)[number] }>({ do: constantFrom(...OUTSIDE), company }),
  },
  { weight: 5, arbitrary: constant<Step & { do: 'wait' }>({ do: 'wait' }) },
  {
    weight: 4,
    arbitrary: record<Step & { do: 'time' }>({
      do: constantFrom('time'),
      seconds: constantFrom(0.05, 0.3, 1, 5, 11, 21, 30, 61, 301, 601, 1_801, 2_600, 3_556, 7_200, 86_400),
    }),
  },
  {
    weight: 1,
    arbitrary: record<Step & { do: 'database_clock' }>({
      do: constantFrom('database_clock'),
      seconds: constantFrom(-3, 2, 21, 3_600),
    }),
  },
  {
    weight: 1,
    arbitrary: record<Step & { do: 'live' }>({
      do: constantFrom('live'),
      seconds: constantFrom(60, 900, 7_200),
      plan: plans,
    }),
  },
);

const kinds: Arbitrary<Pick<Scene, 'truth' | 'rotation'>> = constantFrom(
  { truth: 'none', rotation: 'none' },
  { truth: 'grace', rotation: 'grace' },
  { truth: 'strict', rotation: 'strict' },
  { truth: 'strict', rotation: 'unknown' },
  { truth: 'none', rotation: 'unknown' },
  { truth: 'minting', rotation: 'unknown' },
);

export const scenes: Arbitrary<Scene> = kinds.chain((kind) =>
  record({
    truth: constantFrom(kind.truth),
    rotation: constantFrom(kind.rotation),
    ratePerSecond: constantFrom(400, 3),
    concurrency: constantFrom(8, 2),
    companies: constantFrom(1, 2, 4, 6, 6, 6),
    draws: nat(),
  }),
);

export const stories: Arbitrary<readonly Step[]> = array(steps, { minLength: 1, maxLength: 60, size: 'max' });
