import { Injectable } from '@nestjs/common';
import { MADE_NO_SENSE, type Failure } from '../provider/verdict.js';
import type { Actor } from '../shared/actor.js';
import { Problem } from '../shared/problem.js';
import { isLiving } from '../token/connection.js';
import { ConnectionStore } from '../token/connection.store.js';
import { Exchanges } from '../token/exchanges.js';
import { TokenRenewer } from '../token/token-renewer.js';
import { ConsentKeeper } from './consent-keeper.js';
import type { FyndPlatformProvider } from './fynd-platform.provider.js';

/** Installs by Fynd's word alone, without a seller's browser. */
@Injectable()
export class AutoInstallService {
  constructor(
    private readonly store: ConnectionStore,
    private readonly keeper: ConsentKeeper,
    private readonly exchanges: Exchanges,
    private readonly renewer: TokenRenewer,
  ) {}

  /**
   * Redeems a code and keeps the grant, unless the company has a living connection: that one is never replaced. Throws a
   * Problem where Fynd does not take the code.
   */
  async install(
    provider: FyndPlatformProvider,
    companyId: string,
    code: string,
    actor: Actor,
  ): Promise<boolean> {
    if (await this.#isConnected(provider, companyId)) return false;
    // A stop waits for it: the code is spent once it is sent.
    return this.renewer.track(this.#install(provider, companyId, code, actor));
  }

  async #install(
    provider: FyndPlatformProvider,
    companyId: string,
    code: string,
    actor: Actor,
  ): Promise<boolean> {
    const redeemed = await this.exchanges.run(
      provider,
      'exchange',
      () => provider.redeemOffline({ companyId, code, scopes: provider.scopes }),
      (outcome) => (outcome.kind === 'issued' ? undefined : outcome),
    );
    if (!redeemed) throw busy();
    if (redeemed.kind !== 'issued') {
      // The same code may have come twice at once: then the other one was taken.
      if (await this.#isConnected(provider, companyId)) return false;
      throw asProblem(redeemed);
    }
    return this.keeper.keepCompany(provider, companyId, redeemed, actor, true);
  }

  async #isConnected({ name }: FyndPlatformProvider, companyId: string): Promise<boolean> {
    const connection = await this.store.findBySubject({ provider: name, companyId, locationId: null });
    return connection !== undefined && isLiving(connection);
  }
}

function busy(): Problem {
  return new Problem('provider_unavailable', 'Fynd is asked as much as it may be; send it again.', {
    retry_after: 30,
  });
}

function asProblem(failure: Failure): Problem {
  const { code } = failure;
  if (failure.kind === 'misconfigured') {
    return new Problem('provider_misconfigured', `Fynd does not accept this extension (${code}).`);
  }
  if (failure.kind !== 'unavailable') return new Problem('credential_rejected', 'Fynd refuses this code.');
  if (MADE_NO_SENSE.has(code))
    return new Problem('provider_protocol_error', `Fynd's answer made no sense (${code}).`);
  return new Problem('provider_unavailable', `Fynd cannot be reached (${code}); send it again.`, {
    retry_after: 30,
  });
}
