import { Injectable } from '@nestjs/common';
import { resourceOf, type Caller } from '../http/caller.js';
import type { TokenProvider } from '../provider/token-provider.js';
import type { Subject } from '../shared/ids.js';
import { RequestMetrics } from '../telemetry/request-metrics.js';
import { mayHavePersonal, served, type Served } from './served.js';
import { judgeInHand, type Wish } from './serving.js';
import type { TokenInHand } from './token-in-hand.js';
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
  ) {}

  /** From memory, at once. Undefined where more has to be looked at. */
  serve(provider: TokenProvider, subject: Subject, wish: Wish, caller: Caller): Served | undefined {
    const token = this.tokens.current(resourceOf(subject));
    const served = token && serveInHand(provider, token, wish, caller, true);
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
  ): Promise<Served | undefined> {
    const company = { ...subject, locationId: null };
    this.metrics.lookedUpInDatabase();
    let found = await this.tokens.find(resourceOf(subject), subject);
    if (!found && orCompany && caller.permits('token:read', resourceOf(company)))
      found = await this.tokens.find(resourceOf(company), company);
    return found && serveInHand(provider, found.token, wish, caller, found.isCertain);
  }
}

function serveInHand(
  provider: TokenProvider,
  token: TokenInHand,
  wish: Wish,
  caller: Caller,
  isCertain: boolean,
): Served | undefined {
  const verdict = judgeInHand(token, wish);
  if (verdict?.kind !== 'serve' || !mayHavePersonal(token, caller)) return undefined;
  return served(provider, token, verdict.stale || !isCertain, isCertain ? null : AWAY);
}
