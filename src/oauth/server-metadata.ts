import {
  customFetch,
  allowInsecureRequests,
  discoveryRequest,
  processDiscoveryResponse,
  type AuthorizationServer,
} from 'oauth4webapi';
import type { OAuth2Settings } from '../config/provider-settings.js';
import type { Upstream, UpstreamResult } from '../provider/upstream.js';
import { judgeFailure, type Failure } from '../provider/verdict.js';
import type { Clock } from '../shared/clock.js';

/** Where an authorization server is to be asked for what. */
export interface Endpoints {
  readonly kind: 'found';
  readonly authorize: string;
  readonly token: string;
  readonly revocation: string | null;
  /** False where the server says that it knows no S256. */
  readonly knowsS256: boolean;
  /** For the check of `iss` (RFC 9207); null where nobody has said who the issuer is. */
  readonly server: AuthorizationServer | null;
}

/** What was discovered is asked for again after an hour, and goes on being used until that succeeds. */
const GOOD_FOR_MS = 3_600_000;
const ASK_AGAIN_MS = 60_000;

/**
 * The endpoints of an OAuth 2 server: those that the file names, and the others as the issuer's metadata tells them (RFC
 * 8414, or OpenID Connect Discovery). What is discovered must lie on the issuer's own origin, so that no document from
 * outside chooses where a secret goes.
 */
export class ServerMetadata {
  #known: Endpoints | undefined;
  #askAgainAt = 0;
  #asking: Promise<Endpoints | Failure> | undefined;

  constructor(
    private readonly settings: OAuth2Settings,
    private readonly upstream: Upstream,
    private readonly clock: Clock,
  ) {}

  async endpoints(): Promise<Endpoints | Failure> {
    const { issuer } = this.settings;
    if (issuer === null) return this.#written(null);
    if (this.#known && this.clock.monotonic() < this.#askAgainAt) return this.#known;
    this.#asking ??= this.#discover(issuer).finally(() => (this.#asking = undefined));
    // Whoever holds a lease must not spend it on waiting for a document that is not needed yet.
    return this.#known ?? this.#asking;
  }

  async #discover(issuer: string): Promise<Endpoints | Failure> {
    this.#askAgainAt = this.clock.monotonic() + ASK_AGAIN_MS;
    const answer = await this.#ask(new URL(issuer));
    if (answer.kind !== 'answered') return answer;
    const endpoints = this.#written(answer.server);
    if (endpoints.kind === 'found') {
      this.#known = endpoints;
      this.#askAgainAt = this.clock.monotonic() + GOOD_FOR_MS;
    }
    return endpoints;
  }

  /** OpenID's place first; a server that is none keeps it in the other. */
  async #ask(
    issuer: URL,
  ): Promise<{ readonly kind: 'answered'; readonly server: AuthorizationServer } | Failure> {
    let result: UpstreamResult | undefined;
    for (const algorithm of ['oidc', 'oauth2'] as const) {
      try {
        const response = await discoveryRequest(issuer, {
          algorithm,
          // config/ has judged the address already.
          [allowInsecureRequests]: true,
          [customFetch]: async (url) => {
            result = await this.upstream.ask(this.settings, { method: 'GET', url });
            return asResponse(result);
          },
        });
        return { kind: 'answered', server: await processDiscoveryResponse(issuer, response) };
      } catch {
        const isAbsent = result?.kind === 'answered' && result.status === 404;
        if (algorithm === 'oidc' && isAbsent) continue;
        if (result && (result.kind === 'failed' || result.status !== 200)) return asMetadataFailure(result);
      }
      return REFUSED;
    }
    return REFUSED;
  }

  #written(server: AuthorizationServer | null): Endpoints | Failure {
    const { authorizeUrl, tokenUrl, revocationUrl, issuer, grant } = this.settings;
    const discovered = (url: string | undefined): string | null =>
      url !== undefined &&
      issuer !== null &&
      URL.canParse(url) &&
      new URL(url).origin === new URL(issuer).origin
        ? url
        : null;
    const authorize = authorizeUrl ?? discovered(server?.authorization_endpoint);
    const token = tokenUrl ?? discovered(server?.token_endpoint);
    if (token === null || (authorize === null && grant === 'authorization_code')) return REFUSED;
    return {
      kind: 'found',
      authorize: authorize ?? '',
      token,
      revocation: revocationUrl ?? discovered(server?.revocation_endpoint),
      knowsS256: server?.code_challenge_methods_supported?.includes('S256') ?? true,
      server,
    };
  }
}

/** The metadata is of another issuer, lacks an endpoint, or names one elsewhere: an operator has to write it down. */
const REFUSED: Failure = { kind: 'misconfigured', code: 'metadata_refused' };

/** Whatever is refused here says nothing of a grant, and nothing of one was sent. */
function asMetadataFailure(result: UpstreamResult): Failure {
  const failure = judgeFailure(result, { deadGrantCodes: [], clientErrorCodes: [], hasRenewed: false });
  if (failure.kind === 'unavailable') return { ...failure, mayHaveActed: false };
  return failure.kind === 'misconfigured' ? failure : REFUSED;
}

function asResponse(result: UpstreamResult): Response {
  if (result.kind === 'failed') throw new Error(result.code);
  return new Response(JSON.stringify(result.json ?? null), {
    // A redirect has no place in a Response of ours; it is judged by its result.
    status: result.status >= 200 && result.status < 600 ? result.status : 500,
    headers: { 'content-type': 'application/json' },
  });
}
