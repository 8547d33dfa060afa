import { Inject, Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { KnownRequest } from '../http/access.js';
import { Clock } from '../shared/clock.js';
import type { Problem } from '../shared/problem.js';
import { Metrics } from '../telemetry/metrics.js';
import { CountedWindows } from './counted-windows.js';
import { rateLimited, rateLimitHeaders, type Policy } from './rate-limit.js';

/** Routes that cost about the same, and are counted together. */
export const FAMILIES = ['tokens', 'reports', 'reads', 'changes', 'denials'] as const;

export type Family = (typeof FAMILIES)[number];

export type CallerPolicies = Readonly<Record<Family, Omit<Policy, 'name'>>>;

export const CALLER_POLICIES = Symbol('CALLER_POLICIES');

/**
 * For a caller and a replica. Far above what an honest service asks for, and below what would keep the others waiting: a
 * loop that never sleeps meets them, and nobody else.
 */
export const GENEROUS_POLICIES: CallerPolicies = {
  // From memory: more than a core answers in that time, so that this one stops only what is lost already.
  tokens: { quota: 1_000_000, windowS: 10 },
  // May each lead to a renewal; the connection's own spacing keeps most of them from that.
  reports: { quota: 5_000, windowS: 10 },
  // A statement each, some of which read a page of rows.
  reads: { quota: 5_000, windowS: 10 },
  // A transaction each, with a row in the trail; imports make the most of them.
  changes: { quota: 2_000, windowS: 10 },
  // A row in the trail each, which no other is folded into.
  denials: { quota: 600, windowS: 60 },
};

/** Keeps one caller from taking what the others need: counts its requests by family of routes, in this process. */
@Injectable()
export class CallerLimits {
  readonly #counts: Readonly<Record<Family, CountedWindows>>;

  constructor(
    @Inject(CALLER_POLICIES) private readonly policies: CallerPolicies,
    private readonly metrics: Metrics,
    clock: Clock,
  ) {
    const countsOf = (family: Family): CountedWindows => new CountedWindows(policies[family], clock);
    this.#counts = {
      tokens: countsOf('tokens'),
      reports: countsOf('reports'),
      reads: countsOf('reads'),
      changes: countsOf('changes'),
      denials: countsOf('denials'),
    };
  }

  /** Puts itself before every request of a known caller: who that is has to be found out before. */
  guard(fastify: FastifyInstance): void {
    fastify.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done) => {
      const { caller } = request as KnownRequest;
      if (!caller) return done();
      const family = familyOf(request);
      const counts = this.#counts[family];
      if (!counts.take(caller.id)) return done(this.#refusal(family, caller.id));
      if (family !== 'tokens')
        void reply.headers(
          rateLimitHeaders(this.#policy(family), counts.left(caller.id), counts.endsIn(caller.id)),
        );
      done();
    });
  }

  /** Counts one more where no route does. Throws Problem `rate_limited` where it is one too many. */
  count(family: Family, callerId: string): void {
    if (!this.#counts[family].take(callerId)) throw this.#refusal(family, callerId);
  }

  /** As if it had not been counted: it is counted elsewhere. */
  giveBack(family: Family, callerId: string): void {
    this.#counts[family].giveBack(callerId);
  }

  #refusal(family: Family, callerId: string): Problem {
    this.metrics.requestLimited(family);
    const { quota, windowS } = this.policies[family];
    const detail = `This caller may send ${quota} requests of this kind (${family}) in ${windowS} s.`;
    return rateLimited(this.#policy(family), detail, this.#counts[family].endsIn(callerId));
  }

  #policy(family: Family): Policy {
    return { name: family, ...this.policies[family] };
  }
}

/** By the route, and where there is none by the method. */
function familyOf({ method, routeOptions: { url = '' } }: FastifyRequest): Family {
  const isRead = method === 'GET' || method === 'HEAD';
  if (url.startsWith('/v1/tokens/')) return isRead ? 'tokens' : 'reports';
  return isRead ? 'reads' : 'changes';
}
