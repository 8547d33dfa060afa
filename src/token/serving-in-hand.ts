import { Injectable } from '@nestjs/common';
import { resourceOf, type Caller } from '../http/caller.js';
import type { TokenProvider } from '../provider/token-provider.js';
import { Clock } from '../shared/clock.js';
import type { Subject } from '../shared/ids.js';
import { RequestMetrics } from '../telemetry/request-metrics.js';
import { mayHavePersonal, served, type Served } from './served.js';
import { judgeInHand, type Wish } from './serving.js';
import type { KeptTokenInHand } from './token-in-hand.js';
import { TokensInHand } from './tokens-in-hand.js';

const AWAY = 'The database is away; this is the token as it was last known, and it may have been replaced.';

/**
 * Hands out what needs no more than to be handed out: a token in hand that satisfies the caller. All else, a refusal
 * included, is for whoever looks at the whole of the connection.
 */
@Injectable()
export class ServingInHand {
  constructor(
    private readonly tokens: TokensInHand,
    private readonly metrics: RequestMetrics,
    private readonly clock: Clock,
  ) {}

  /** The token of whom `resource` names, from memory, at once. Undefined where more has to be looked at. */
  serve(
    provider: TokenProvider,
    resource: string,
    wish: Wish,
    caller: Caller,
  ): Served<KeptTokenInHand> | undefined {
    const token = this.tokens.current(resource);
    const served = token && this.#serve(provider, token, wish, caller, true);
    if (served) this.metrics.foundInMemory();
    return served;
  }

  /**
   * As `serve`, after a look at the database where that is needed; while it is away, what was last known, for a while.
   * `orCompany` as in `TokenService.fetch`. Throws Problem `store_unavailable`.
   */
  async find(
    provider: TokenProvider,
    subject: Subject,
    wish: Wish,
    orCompany: boolean,
    caller: Caller,
  ): Promise<Served<KeptTokenInHand> | undefined> {
    const company = { ...subject, locationId: null };
    this.metrics.lookedUpInDatabase();
    let found = await this.tokens.find(resourceOf(subject), subject);
    if (!found && orCompany && caller.permits('token:read', resourceOf(company)))
      found = await this.tokens.find(resourceOf(company), company);
    return found && this.#serve(provider, found.token, wish, caller, found.isCertain);
  }

  #serve(
    provider: TokenProvider,
    token: KeptTokenInHand,
    wish: Wish,
    caller: Caller,
    isCertain: boolean,
  ): Served<KeptTokenInHand> | undefined {
    const nowMs = this.clock.monotonic() + token.aheadMs;
    const verdict = judgeInHand(token, token.remainingSeconds(nowMs), wish);
    if (verdict?.kind !== 'serve' || !mayHavePersonal(token, caller)) return undefined;
    return served(provider, token, verdict.stale || !isCertain, isCertain ? null : AWAY, nowMs);
  }
}
