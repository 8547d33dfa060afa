import { Injectable, Logger } from '@nestjs/common';
import type { Failure } from '../provider/verdict.js';
import { ConsentMetrics } from '../telemetry/consent-metrics.js';
import type { Actor } from '../shared/actor.js';
import { SessionService } from '../session/session.service.js';
import { GrantKeeper } from '../token/grant-keeper.js';
import { Exchanges } from '../token/exchanges.js';
import { TokenRenewer } from '../token/token-renewer.js';
import type { CompanyGrant, Consent, ConsentProvider, Redeemed, UserToken } from './consent-provider.js';

/** The provider did not give what was consented to; the company's part of it may be kept all the same. */
export class RefusedConsent extends Error {
  constructor(
    readonly failure: Failure,
    readonly isCompanyKept: boolean,
  ) {
    super(failure.code);
  }
}

/** Redeems consents and keeps what they bring: the company's grant, the user's session. */
@Injectable()
export class ConsentKeeper {
  readonly #logger = new Logger('Consent');
  /** Consents that are being redeemed, by provider. */
  readonly #running = new Map<string, number>();

  constructor(
    private readonly keeper: GrantKeeper,
    private readonly sessions: SessionService,
    private readonly exchanges: Exchanges,
    private readonly renewer: TokenRenewer,
    private readonly metrics: ConsentMetrics,
  ) {}

  /** A seller is sent to the provider's consent, and may come back with it. */
  tellBegun({ name }: ConsentProvider): void {
    this.metrics.started(name);
  }

  /**
   * Does this work, unless as much of it is going on as renewals may make: then it is undefined. Anybody can come back from a
   * consent with a made-up code, and each waits for a call with our credentials.
   */
  async unlessBusy<T>({ name, settings }: ConsentProvider, work: () => Promise<T>): Promise<T | undefined> {
    const running = this.#running.get(name) ?? 0;
    if (running >= settings.concurrency) return undefined;
    this.#running.set(name, running + 1);
    try {
      return await work();
    } finally {
      this.#running.set(name, (this.#running.get(name) ?? 1) - 1);
    }
  }

  /**
   * Throws RefusedConsent, or ForeignAnswer. The ticket of a session comes back, where the consent is a user's, too. Undefined
   * where the provider is asked as much as it is to be; then `beforehand`, which uses the consent up, has not been called.
   */
  async redeem(
    provider: ConsentProvider,
    consent: Consent,
    actor: Actor,
    beforehand: () => Promise<void>,
  ): Promise<{ ticket: string | undefined } | undefined> {
    // A stop waits for it: the code is spent once it is sent.
    const work = this.unlessBusy(provider, () =>
      this.renewer.track(this.#redeem(provider, consent, actor, beforehand)),
    );
    return work.then(
      (redeemed) => {
        if (redeemed) this.metrics.completed(provider.name);
        return redeemed;
      },
      (error: unknown) => {
        this.metrics.failed(provider.name);
        throw error;
      },
    );
  }

  /** Keeps a company's grant; true where it was, false where there was a living one that was to stay. */
  async keepCompany(
    provider: ConsentProvider,
    companyId: string,
    { token, grant }: CompanyGrant,
    actor: Actor,
    unlessLiving = false,
  ): Promise<boolean> {
    const subject = { provider: provider.name, companyId, locationId: null };
    const outside = { grant, credential: null, scopes: token.scopes ?? [], token, unlessLiving };
    const adopted = await this.keeper.adopt(provider, subject, outside, actor);
    if (typeof adopted === 'string') return false;
    const { connection, created } = adopted;
    this.#logger.log(`${provider.name} ${connection.id}: ${created ? 'connected' : 'connected again'}`);
    return true;
  }

  async #redeem(
    provider: ConsentProvider,
    consent: Consent,
    actor: Actor,
    beforehand: () => Promise<void>,
  ): Promise<{ ticket: string | undefined } | undefined> {
    const redeemed = await this.exchanges.run(
      provider,
      'exchange',
      async () => {
        await beforehand();
        return provider.redeem(consent);
      },
      ({ company, user }) => [company, user].find(isFailure),
    );
    return redeemed && { ticket: await this.#keep(provider, consent, redeemed, actor) };
  }

  async #keep(
    provider: ConsentProvider,
    consent: Consent,
    { company, user }: Redeemed,
    actor: Actor,
  ): Promise<string | undefined> {
    if (company) await this.keepCompany(provider, consent.companyId, issued(company, false), actor);
    if (!user) return undefined;
    const { token, userId } = issued(user, company !== null);
    return (await this.sessions.open(provider, consent.companyId, token, userId, actor)).reveal();
  }
}

function issued<T extends CompanyGrant | UserToken>(redeemed: T | Failure, isCompanyKept: boolean): T {
  if (redeemed.kind === 'issued') return redeemed;
  throw new RefusedConsent(redeemed, isCompanyKept);
}

function isFailure(redeemed: CompanyGrant | UserToken | Failure | null): redeemed is Failure {
  return redeemed !== null && redeemed.kind !== 'issued';
}
