import { ClientSecretBasic, ClientSecretPost, type ClientAuth } from 'oauth4webapi';
import type { OAuth2Settings } from '../config/provider-settings.js';
import { LeaseRanOut } from '../provider/token-provider.js';
import type { Upstream, UpstreamRequest, UpstreamResult } from '../provider/upstream.js';
import { codesOf } from '../provider/verdict.js';
import type { Secret } from '../shared/secret.js';

/** The library's functions ask for a server that those of ours have no use for. */
const ANY_SERVER = { issuer: 'https://unused.invalid' };

const OUT_OF_TIME: UpstreamResult = { kind: 'failed', code: 'timed_out', mayHaveActed: false };

/** Asks an OAuth 2 server's endpoints as a confidential client, in the dialect that is configured. */
export class OAuth2Client {
  /** The secret that was accepted last: tried first. */
  #accepted: string | undefined;

  constructor(
    private readonly settings: OAuth2Settings,
    private readonly upstream: Upstream,
  ) {}

  /**
   * Posts to an endpoint, with one client secret after the other for as long as the client is what is refused: then nothing
   * was done with what the body holds. `beforeSending` is called right before each, and may throw LeaseRanOut.
   */
  async post(
    url: string,
    parameters: Readonly<Record<string, string | undefined>>,
    beforeSending: () => void = () => undefined,
  ): Promise<UpstreamResult> {
    let refused: UpstreamResult | undefined;
    for (const secret of this.#secretsInOrder()) {
      try {
        beforeSending();
      } catch (error) {
        // The first was refused, slowly: nothing is spent, and nothing is known of the next.
        if (refused && error instanceof LeaseRanOut) return OUT_OF_TIME;
        throw error;
      }
      const result = await this.upstream.ask(this.settings, this.#request(url, parameters, secret));
      if (!this.#isClientRefused(result)) {
        this.#accepted = secret.reveal();
        return result;
      }
      refused = result;
    }
    if (!refused) throw new Error('a client without a secret cannot have been configured');
    return refused;
  }

  #secretsInOrder(): readonly Secret[] {
    const secrets = this.settings.clientSecrets.current;
    const accepted = secrets.find((secret) => secret.reveal() === this.#accepted);
    return accepted ? [accepted, ...secrets.filter((secret) => secret !== accepted)] : secrets;
  }

  #request(
    url: string,
    parameters: Readonly<Record<string, string | undefined>>,
    secret: Secret,
  ): UpstreamRequest {
    const body = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...this.settings.tokenParams, ...parameters })) {
      if (value !== undefined) body.set(name, value);
    }
    const headers = new Headers();
    void this.#authentication(secret)(ANY_SERVER, { client_id: this.settings.clientId }, body, headers);
    const isJson = this.settings.body === 'json';
    headers.set('content-type', isJson ? 'application/json' : 'application/x-www-form-urlencoded');
    return {
      method: 'POST',
      url,
      headers: Object.fromEntries(headers),
      body: isJson ? JSON.stringify(Object.fromEntries(body)) : String(body),
    };
  }

  #authentication(secret: Secret): ClientAuth {
    switch (this.settings.clientAuth) {
      case 'basic_encoded':
        return ClientSecretBasic(secret.reveal());
      case 'body':
        return ClientSecretPost(secret.reveal());
      case 'basic':
        return (_server, { client_id }, _body, headers) => {
          const pair = Buffer.from(`${client_id}:${secret.reveal()}`).toString('base64');
          headers.set('authorization', `Basic ${pair}`);
        };
    }
  }

  /**
   * RFC 6749 5.2, or the provider's own codes for it; a bare 401, or one whose code just says so again, means the same of a
   * token endpoint.
   */
  #isClientRefused(result: UpstreamResult): boolean {
    if (result.kind === 'failed') return false;
    const codes = codesOf(result.json);
    if (codes.some((code) => code === 'invalid_client' || this.settings.clientErrorCodes.includes(code)))
      return true;
    return result.status === 401 && codes.every((code) => code === '401');
  }
}
