import { Injectable } from '@nestjs/common';
import type { Caller } from '../http/caller.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { IssuedToken, OfferedGrant, Outcome, TokenProvider } from '../provider/token-provider.js';
import { MADE_NO_SENSE } from '../provider/verdict.js';
import type { Subject } from '../shared/ids.js';
import { Problem, type ProblemCode } from '../shared/problem.js';
import type { Secret } from '../shared/secret.js';
import type { Connection } from './connection.js';
import { Exchanges } from './exchanges.js';
import { GrantKeeper } from './grant-keeper.js';
import { ProofLimit } from './proof-limit.js';
import { TokenRenewer } from './token-renewer.js';

/** Keeps what operators offer: credentials that people made, after a proof that they work, and grants obtained elsewhere. */
@Injectable()
export class CredentialService {
  constructor(
    private readonly registry: ProviderRegistry,
    private readonly keeper: GrantKeeper,
    private readonly limit: ProofLimit,
    private readonly exchanges: Exchanges,
    private readonly renewer: TokenRenewer,
  ) {}

  /**
   * Keeps it; what has to be proven is proven by a real exchange, whose token becomes the next version. Where the provider
   * refuses it, what was there stays. Throws Problem `credential_rejected`, `rate_limited` or what the provider's failure is.
   */
  async keep(
    subject: Subject,
    body: unknown,
    caller: Caller,
  ): Promise<{ connection: Connection; created: boolean }> {
    const provider = this.registry.get(subject.provider);
    if (!provider.readOffer) {
      throw new Problem('invalid_request', 'Connections of this provider are not made by hand.');
    }
    const offered = provider.readOffer(body, subject);
    const { credential, madeByHand } = offered;
    if (credential && (await this.keeper.isKeptElsewhere(subject, credential, madeByHand)))
      throw keptElsewhere(madeByHand);
    // A stop waits for it: minting may have ended the token before.
    return this.renewer.track(this.#proveAndKeep(provider, subject, offered, caller));
  }

  async #proveAndKeep(
    provider: TokenProvider,
    subject: Subject,
    offered: OfferedGrant,
    caller: Caller,
  ): Promise<{ connection: Connection; created: boolean }> {
    const { grant, verify, scopes, ...rest } = offered;
    const proof = grant && verify ? await this.#prove(provider, subject, grant, caller) : null;
    const outside = {
      ...rest,
      grant: grant && (() => grant),
      scopes: proof?.scopes ?? scopes,
      token: proof ?? offered.token,
      mintedIn: proof?.dialect ?? null,
      // Whoever keeps a grant anew wants it renewed, unless it says otherwise.
      paused: offered.paused ?? false,
    };
    const adopted = await this.keeper.adopt(provider, subject, outside, caller);
    if (typeof adopted === 'string') throw keptElsewhere(offered.madeByHand);
    return adopted;
  }

  async #prove(
    provider: TokenProvider,
    subject: Subject,
    grant: Secret,
    caller: Caller,
  ): Promise<IssuedToken> {
    const proof = await this.limit.begin(caller.id);
    let isRefused = false;
    try {
      const context = { companyId: subject.companyId, knownDialect: null, beforeSending: () => undefined };
      const outcome = await this.exchanges.run(
        provider,
        'proof',
        () => provider.renew(grant, context),
        (answer) => (answer.kind === 'issued' ? undefined : answer),
      );
      if (!outcome) throw busy();
      if (outcome.kind === 'issued') return outcome.token;
      isRefused = isRefusal(outcome);
      throw asProblem(outcome);
    } finally {
      await (isRefused ? this.limit.refuse(proof, subject, caller) : this.limit.forget(proof));
    }
  }
}

function busy(): Problem {
  return new Problem(
    'provider_unavailable',
    'The provider is asked as much as it may be, and the credential could not be proven; nothing was changed.',
    { retry_after: 5 },
  );
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

function keptElsewhere(madeByHand: boolean): Problem {
  return new Problem(
    'credential_rejected',
    madeByHand
      ? "A location's credential must not be its company's: it would be the company's right in disguise."
      : 'This grant is kept for another company or location already: renewing one would end the other.',
  );
}
