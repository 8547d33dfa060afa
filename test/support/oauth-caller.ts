import { BASIC, type Json, landing, type Told, told } from './told.js';

export type OAuthName = 'connect' | 'oauth2';

/** What came of a consent and the exchange of its code. */
export interface Granted {
  readonly code: string;
  readonly access: string;
  readonly refresh: string;
  readonly body: Json;
}

const REDIRECT_URI = 'http://127.0.0.1:8081/oauth/callback';
const PATHS = {
  connect: {
    authorize: '/connect/oAuth/authorize',
    token: '/connect/v1/oauth2/token',
    resource: '/connect/v1/resource',
    body: 'json',
  },
  oauth2: {
    authorize: '/oauth2/authorize',
    token: '/oauth2/token',
    resource: '/oauth2/resource',
    body: 'form',
  },
} as const;

/** Speaks to one of the simulator's OAuth 2 providers as a client, with the body that the provider is used to. */
export class OAuthCaller {
  constructor(
    private readonly origin: () => string,
    private readonly name: OAuthName,
  ) {}

  /** Where a browser is sent to. */
  authorizeUrl(query: Record<string, string> = {}): string {
    const asked = {
      client_id: 'demo-key',
      redirect_uri: REDIRECT_URI,
      response_type: 'code',
      scope: 'read write',
      state: 'state-1',
      ...query,
    };
    return `${this.origin()}${PATHS[this.name].authorize}?${new URLSearchParams(asked).toString()}`;
  }

  authorize(query?: Record<string, string>, cookie?: string): Promise<Response> {
    const headers: Record<string, string> = cookie === undefined ? {} : { cookie };
    return fetch(this.authorizeUrl(query), { redirect: 'manual', headers });
  }

  /** The code of an approved consent. */
  async consent(query?: Record<string, string>, cookie?: string): Promise<string> {
    return landing(await this.authorize(query, cookie)).get('code') ?? '';
  }

  /** A call to the token endpoint; `headers` are added to the client's own, `{ authorization: '' }` takes that away. */
  async post(fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Told> {
    return told(await this.send(PATHS[this.name].token, fields, headers));
  }

  /** Any call of the client. */
  send(
    path: string,
    fields: Record<string, string>,
    headers: Record<string, string> = {},
    body: 'form' | 'json' = PATHS[this.name].body,
  ): Promise<Response> {
    const type = body === 'json' ? 'application/json' : 'application/x-www-form-urlencoded';
    return fetch(`${this.origin()}${path}`, {
      method: 'POST',
      headers: { authorization: BASIC, 'content-type': type, ...headers },
      body: body === 'json' ? JSON.stringify(fields) : new URLSearchParams(fields).toString(),
    });
  }

  exchange(code: string, more: Record<string, string> = {}): Promise<Told> {
    return this.post({ grant_type: 'authorization_code', redirect_uri: REDIRECT_URI, code, ...more });
  }

  renew(refresh_token: string, more: Record<string, string> = {}): Promise<Told> {
    return this.post({ grant_type: 'refresh_token', refresh_token, ...more });
  }

  /** Consent and exchange. */
  async grant(query?: Record<string, string>, cookie?: string): Promise<Granted> {
    const code = await this.consent(query, cookie);
    const { body } = await this.exchange(code);
    return { code, access: String(body['access_token']), refresh: String(body['refresh_token']), body };
  }

  /** RFC 7009, at the standard provider. */
  revoke(token: string): Promise<Response> {
    return this.send('/oauth2/revoke', { token });
  }

  /** A call to the provider's API; the token goes where `header` says, and else as a bearer token. */
  async resource(token: string, header?: string): Promise<Told> {
    const headers: Record<string, string> =
      header === undefined ? { authorization: `Bearer ${token}` } : { [header]: token };
    return told(await fetch(`${this.origin()}${PATHS[this.name].resource}`, { headers }));
  }
}
