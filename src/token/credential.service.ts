import { Injectable } from '@nestjs/common';
import type { Caller } from '../clients/caller.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { IssuedToken, OfferedCredential, Outcome, TokenProvider } from '../provider/token-provider.js';
import { MADE_NO_SENSE } from '../provider/verdict.js';
import type { Subject } from '../shared/ids.js';
import { Problem, type ProblemCode } from '../shared/problem.js';
import type { Connection } from './connection.js';
import { GrantKeeper } from './grant-keeper.js';
import { ProofLimit } from './proof-limit.js';
import { TokenRenewer } from './token-renewer.js';

/** Keeps credentials that people made, after a proof that they work. */
@Injectable()
export class CredentialService {
  constructor(
    private readonly registry: ProviderRegistry,
    private readonly keeper: GrantKeeper,
    private readonly limit: ProofLimit,
    private readonly renewer: TokenRenewer,
  ) {}

  /**
   * Proves a credential by a real exchange, whose token becomes the next version, and keeps it. Where the provider refuses
   * it, what was there stays. Throws Problem `credential_rejected`, `rate_limited` or what the provider's failure is.
   */
  async keep(
    subject: Subject,
    body: unknown,
    caller: Caller,
  ): Promise<{ connection: Connection; created: boolean }> {
    const provider = this.registry.get(subject.provider);
    if (!provider.readCredential) {
      throw new Problem(
        'invalid_request',
        'Connections of this provider are made by a seller who installs, not by hand.',
      );
    }
    const offered = provider.readCredential(body);
    if (await this.keeper.isKeptAtOtherLevel(subject, offered.credential)) throw disguised();
    // A stop waits for it: minting may have ended the token before.
    return this.renewer.track(this.#proveAndKeep(provider, subject, offered, caller));
  }

  async #proveAndKeep(
    provider: TokenProvider,
    subject: Subject,
    offered: OfferedCredential,
    caller: Caller,
  ): Promise<{ connection: Connection; created: boolean }> {
    const token = offered.verify ? await this.#prove(provider, subject, offered, caller) : null;
    const adopted = await this.keeper.adopt(provider, subject, {
      grant: () => offered.grant,
      credential: offered.credential,
      scopes: token?.scopes ?? [],
      token,
    });
    if (!adopted) throw disguised();
    return adopted;
  }

  async #prove(
    provider: TokenProvider,
    subject: Subject,
    offered: OfferedCredential,
    caller: Caller,
  ): Promise<IssuedToken> {
    const proof = await this.limit.begin(caller.id);
    let isRefused = false;
    try {
      const outcome = await provider.renew(offered.grant, {
        companyId: subject.companyId,
        knownDialect: null,
        beforeSending: () => undefined,
      });
      if (outcome.kind === 'issued') return outcome.token;
      isRefused = isRefusal(outcome);
      throw asProblem(outcome);
    } finally {
      await (isRefused ? this.limit.refuse(proof) : this.limit.forget(proof));
    }
  }
}

function asProblem(outcome: Exclude<Outcome, { kind: 'issued' }>): Problem {
  if (isRefusal(outcome)) {
    return new Problem('credential_rejected', 'The provider refuses this credential; nothing was changed.');
  }
  if (outcome.kind === 'misconfigured') {
    return new Problem(
      'provider_misconfigured',
      `The provider could not judge the credential (${outcome.code}).`,
    );
  }
  const noSense = MADE_NO_SENSE.has(outcome.code);
  const code: ProblemCode = noSense ? 'provider_protocol_error' : 'provider_unavailable';
  return new Problem(code, `The credential could not be proven (${outcome.code}); nothing was changed.`, {
    ...(noSense ? {} : { retry_after: Math.max(1, Math.ceil(retryAfterIn(outcome) ?? 5)) }),
  });
}

function retryAfterIn(outcome: Outcome): number | null {
  return outcome.kind === 'unavailable' ? outcome.retryAfterSeconds : null;
}

/** What was offered is what a bare 400, 401 or 403 is about: the broker has no registration of its own to blame. */
function isRefusal(outcome: Outcome): boolean {
  if (outcome.kind === 'grant_refused' || outcome.kind === 'grant_doubtful') return true;
  return outcome.kind === 'misconfigured' && outcome.code === 'refused_without_code';
}

function disguised(): Problem {
  return new Problem(
    'credential_rejected',
    "A location's credential must not be its company's: it would be the company's right in disguise.",
  );
}
