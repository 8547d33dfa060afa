import { Injectable, Logger } from '@nestjs/common';
import { resourceOf, type Caller } from '../http/caller.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { TokenProvider } from '../provider/token-provider.js';
import type { Subject } from '../shared/ids.js';
import { Problem, type ProblemCode, type ProblemExtensions } from '../shared/problem.js';
import { Metrics } from '../telemetry/metrics.js';
import { isGivenBack, isLeased, type Connection } from './connection.js';
import { ConnectionStore } from './connection.store.js';
import {
  failureProblem,
  judge,
  judgeAfterRenewal,
  retryAfterSeconds,
  type Verdict,
  type Wish,
} from './serving.js';
import { mayHavePersonal, served, SUSPECT, type Served } from './served.js';
import { ServingInHand } from './serving-in-hand.js';
import type { KeptTokenInHand } from './token-in-hand.js';
import { TokenRenewer } from './token-renewer.js';

/** What a refused caller is told in words; the code says the rest. */
const DETAILS: Partial<Record<ProblemCode, string>> = {
  reauthorization_required:
    'The grant is dead and no token satisfies the request: the seller has to connect again, or an operator to keep another.',
  scope_missing: 'The grant lacks a scope that was asked for: the seller has to grant it.',
  ttl_unsatisfiable: 'No token that can be had lives that long: max_ttl says how much min_ttl may ask for.',
  connection_paused:
    'The connection is paused, and it has no token that lives as long: resume it, once nobody else renews it.',
  connection_revoked:
    'The connection was revoked here, or the extension uninstalled: the seller has to install again, or an operator to keep a credential.',
  provider_misconfigured:
    "The provider refuses the broker's own registration; an operator has to correct it.",
  provider_protocol_error: "The provider's last answer made no sense; the renewal is tried again.",
  provider_unavailable:
    'The provider could not renew the token, and the one in hand does not do; it is tried again: ask again after Retry-After.',
};

const PAUSED = 'The connection is paused, so this report renews nothing; resume it.';

/** Hands out tokens. A token that satisfies the caller is answered without a lock and without anything outbound. */
@Injectable()
export class TokenService {
  readonly #logger = new Logger('Tokens');

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly store: ConnectionStore,
    private readonly renewer: TokenRenewer,
    private readonly metrics: Metrics,
    private readonly inHand: ServingInHand,
  ) {}

  /**
   * A token for a subject. `orCompany` falls back to the company's token where the location has no connection of its
   * own. Throws a Problem where no token satisfies the wish.
   */
  async fetch(subject: Subject, wish: Wish, orCompany: boolean, caller: Caller): Promise<Served> {
    return this.#counted(subject, async (provider) => {
      try {
        return (
          (await this.#inHand(provider, subject, wish, orCompany, caller)) ??
          (await this.#serve(provider, await this.#find(subject, orCompany, caller), wish, caller))
        );
      } catch (error) {
        const early = this.#early(provider, subject, wish, caller);
        if (early && error instanceof Problem && error.code === 'store_unavailable') return early;
        throw error;
      }
    });
  }

  /** As `fetch`, from memory, at once; undefined where that does not do. */
  fetchAtOnce(
    subject: Subject,
    resource: string,
    wish: Wish,
    caller: Caller,
  ): Served<KeptTokenInHand> | undefined {
    const provider = this.registry.get(subject.provider);
    const served = this.inHand.serve(provider, resource, wish, caller);
    if (served) this.metrics.tokenAnswered(provider.name, served.stale ? 'stale' : 'fresh');
    return served;
  }

  /** As `fetch`, of a token that only needs to be handed out; undefined where it takes more. Throws Problem `store_unavailable`. */
  async fetchInHand(
    subject: Subject,
    wish: Wish,
    orCompany: boolean,
    caller: Caller,
  ): Promise<Served<KeptTokenInHand> | undefined> {
    // What could not be written down yet is found the long way.
    if (this.renewer.early(resourceOf(subject))) return undefined;
    return this.#counted(subject, (provider) => this.inHand.find(provider, subject, wish, orCompany, caller));
  }

  /** A token that came while the database is away. */
  #early(provider: TokenProvider, subject: Subject, wish: Wish, caller: Caller): Served | undefined {
    const connection = this.renewer.early(resourceOf(subject));
    if (!connection || !mayHavePersonal(connection, caller)) return undefined;
    const verdict = judgeAfterRenewal(connection, wish);
    return verdict.kind === 'serve' ? servedNow(provider, connection, verdict.stale, null) : undefined;
  }

  /** From memory where that will do, else after a look at the database. */
  async #inHand(
    provider: TokenProvider,
    subject: Subject,
    wish: Wish,
    orCompany: boolean,
    caller: Caller,
  ): Promise<Served | undefined> {
    return (
      this.inHand.serve(provider, resourceOf(subject), wish, caller) ??
      this.inHand.find(provider, subject, wish, orCompany, caller)
    );
  }

  async #counted<T extends Served | undefined>(
    subject: Subject,
    work: (provider: TokenProvider) => Promise<T>,
  ): Promise<T> {
    const provider = this.registry.get(subject.provider);
    try {
      const served = await work(provider);
      if (served) this.metrics.tokenAnswered(provider.name, served.stale ? 'stale' : 'fresh');
      return served;
    } catch (error) {
      this.metrics.tokenAnswered(provider.name, error instanceof Problem ? error.code : 'internal_error');
      throw error;
    }
  }

  /**
   * A caller was refused this version with a 401. If it is current it is renewed, once, however many report it, and not
   * more often than the spacing allows. Where nothing renews it, it is an alarm. Answers the current token.
   */
  async report(subject: Subject, version: number, caller: Caller): Promise<Served> {
    const provider = this.registry.get(subject.provider);
    const connection = await this.#find(subject, false, caller);
    const wish: Wish = { minTtl: 0, scopes: [] };
    if (connection.tokenVersion !== version || connection.status === 'revoked') {
      return this.#serve(provider, connection, wish, caller);
    }
    if (connection.status === 'reauthorization_required') {
      await this.store.markReported(connection.id, version);
      throw await this.#refusal(
        provider,
        connection,
        { kind: 'refuse', code: 'reauthorization_required' },
        caller,
      );
    }
    if (!provider.renews) return this.#alarm(provider, connection, caller);
    if (connection.status === 'paused') return this.#serve(provider, connection, wish, caller, PAUSED);
    if (await this.store.acceptReport(connection.id, version)) {
      return this.#renewed(provider, await this.renewer.renew(connection, version), version, caller);
    }
    const fresh = await this.#find(subject, false, caller);
    if (fresh.tokenVersion === version && (fresh.reportedVersion === version || isLeased(fresh))) {
      return this.#renewed(provider, await this.renewer.renew(fresh, version), version, caller);
    }
    return this.#serve(provider, fresh, wish, caller, tooSoon(fresh, version));
  }

  /** The company's own only where the caller may read that, too; else it is as if it were not there. */
  async #find(subject: Subject, orCompany: boolean, caller: Caller): Promise<Connection> {
    const own = await this.store.findBySubject(subject);
    if (own && !mayHavePersonal(own, caller)) {
      throw new Problem('forbidden', 'This caller lacks the permission token:read-personal.');
    }
    if (own) return own;
    const company = { ...subject, locationId: null };
    if (orCompany && caller.permits('token:read', resourceOf(company))) {
      const found = await this.store.findBySubject(company);
      if (found && mayHavePersonal(found, caller)) return found;
    }
    const whose = subject.locationId === null ? 'company' : 'location';
    throw new Problem(
      'connection_not_found',
      `This ${whose} has no connection to the provider: a seller has to install or to consent on an authorize-link, or an operator to keep a credential with PUT.`,
    );
  }

  /** One caller's 401 must not cut off all the others: the token is served on, and somebody has to look. */
  async #alarm(provider: TokenProvider, connection: Connection, caller: Caller): Promise<Served> {
    const suspect = await this.store.markSuspect(connection.id, connection.tokenVersion, caller);
    if (suspect) {
      this.metrics.tokenSuspected(provider.name);
      this.#logger.error(
        `${provider.name} ${connection.id}: refused with a 401, and only a person can replace it`,
      );
    }
    return this.#serve(provider, suspect ?? connection, { minTtl: 0, scopes: [] }, caller, SUSPECT);
  }

  async #serve(
    provider: TokenProvider,
    connection: Connection,
    wish: Wish,
    caller: Caller,
    warning: string | null = null,
  ): Promise<Served> {
    const verdict = judge(connection, wish);
    if (verdict.kind === 'serve') return servedNow(provider, connection, verdict.stale, warning);
    if (verdict.kind === 'refuse') throw await this.#refusal(provider, connection, verdict, caller);
    const renewed = await this.renewer.renew(connection, connection.tokenVersion);
    if (!renewed) throw stillRunning(connection);
    const second = judgeAfterRenewal(renewed, wish);
    if (second.kind === 'serve') return servedNow(provider, renewed, second.stale, warning);
    throw await this.#refusal(provider, renewed, second, caller);
  }

  /** What the reporter of `version` gets: anything newer, or why there is none; others are still served meanwhile. */
  async #renewed(
    provider: TokenProvider,
    row: Connection | undefined,
    version: number,
    caller: Caller,
  ): Promise<Served> {
    if (!row)
      throw new Problem('provider_unavailable', 'The renewal is still running; ask again.', {
        retry_after: 1,
      });
    const verdict = judgeAfterRenewal(row, { minTtl: 0, scopes: [] });
    if (verdict.kind !== 'serve') throw await this.#refusal(provider, row, verdict, caller);
    if (row.tokenVersion > version) return servedNow(provider, row, verdict.stale, null);
    if (row.consecutiveFailures > 0 || isGivenBack(row)) {
      const failed: Verdict = { kind: 'refuse', code: failureProblem(row) };
      throw await this.#refusal(provider, row, failed, caller);
    }
    return servedNow(provider, row, verdict.stale, 'The provider gave the same token again.');
  }

  async #refusal(
    provider: TokenProvider,
    connection: Connection,
    verdict: Verdict,
    caller: Caller,
  ): Promise<Problem> {
    if (verdict.kind !== 'refuse') throw new Error('only a refusal can be told');
    const { code } = verdict;
    const url = await this.#wayBack(provider, connection, verdict, caller);
    const extensions: ProblemExtensions = {
      connection_id: connection.id,
      ...(verdict.missingScopes ? { missing_scopes: verdict.missingScopes } : {}),
      ...(verdict.maxTtl === undefined ? {} : { max_ttl: verdict.maxTtl }),
      ...(url === null ? {} : { authorize_url: url }),
      ...(/^provider_/.test(code) ? { retry_after: retryAfterSeconds(connection) } : {}),
    };
    return new Problem(code, DETAILS[code] ?? '', extensions);
  }

  /** Where a seller puts it right, for those who may change connections; null where that needs an operator. */
  async #wayBack(
    provider: TokenProvider,
    connection: Connection,
    { code, missingScopes = [] }: Extract<Verdict, { kind: 'refuse' }>,
    caller: Caller,
  ): Promise<string | null> {
    if (code !== 'reauthorization_required' && code !== 'scope_missing') return null;
    // Consent is a company's.
    if (connection.locationId !== null || !caller.permits('connection:write', resourceOf(connection)))
      return null;
    // Asked for together with those that are there, or two who widen in turns would take each other's away.
    const wider = missingScopes.length > 0 ? [...connection.scopes, ...missingScopes] : [];
    const unasked = wider.filter((scope) => !provider.scopes.includes(scope));
    return provider.reauthorizeUrl(connection.companyId, unasked);
  }
}

/** As it was when its row was read, a moment ago. */
function servedNow(
  provider: TokenProvider,
  connection: Connection,
  stale: boolean,
  warning: string | null,
): Served {
  return served(provider, connection, stale, warning, connection.now.getTime());
}

function tooSoon(connection: Connection, version: number): string | null {
  if (connection.tokenVersion !== version) return null;
  return 'Reports of this connection come too fast: it was not renewed again, and this is the token that was reported.';
}

function stillRunning(connection: Connection): Problem {
  return new Problem('provider_unavailable', 'The renewal is still running; ask again.', {
    connection_id: connection.id,
    retry_after: 1,
  });
}
