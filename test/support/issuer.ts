import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import type { Certificate } from './certificate.js';
import { freePort, type Json } from './http.js';

/** Of whom the tokens speak, and where an issuer is asked for its keys. */
export const SUBJECT = 'system:serviceaccount:shop:storefront';
export const DISCOVERY = '/.well-known/openid-configuration';
const KEYS = '/keys';
export const BOTH = [DISCOVERY, KEYS];

/** A key that an issuer signs with. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  /** As the issuer publishes it. */
  readonly jwk: JWK;
}

/** Makes a key that is published as being for this algorithm alone. */
export async function signingKey(alg = 'RS256'): Promise<SigningKey> {
  const kid = randomBytes(6).toString('hex');
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** An OIDC issuer on loopback, as far as workloads need one: discovery, keys that rotate, and tokens. */
export class Issuer {
  /** Those that are published; the last one signs. */
  keys: SigningKey[] = [];
  /** Each request since the start: path and what stood in `Authorization`. */
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[] = [];
  /** What discovery says otherwise. */
  metadata: Json = {};
  /** Answers that are the test's and not the issuer's, by path. */
  readonly bent = new Map<string, RequestListener>();
  /** The only bearer token that is let in; null lets anyone in. */
  wants: string | null = null;
  #server: Server | undefined;

  private constructor(
    readonly port: number,
    private readonly certificate: Certificate | undefined,
  ) {}

  /** @param certificate what it shows; without one it speaks plain HTTP */
  static async start(certificate?: Certificate): Promise<Issuer> {
    const issuer = new Issuer(await freePort(), certificate);
    issuer.keys.push(await signingKey());
    await issuer.up();
    return issuer;
  }

  get url(): string {
    return `http${this.certificate ? 's' : ''}://127.0.0.1:${this.port}`;
  }

  get paths(): string[] {
    return this.requests.map(({ path }) => path);
  }

  async up(): Promise<void> {
    const serve: RequestListener = (request, response) => this.#serve(request, response);
    this.#server = this.certificate ? createTlsServer({ ...this.certificate }, serve) : createServer(serve);
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async down(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  /** From now on another key signs; the ones before are no longer published unless they are kept. */
  async rotate({ alg = 'RS256', keep = false } = {}): Promise<void> {
    this.keys = [...(keep ? this.keys : []), await signingKey(alg)];
  }

  /** The key that signs now. */
  get key(): SigningKey {
    const key = this.keys.at(-1);
    if (!key) throw new Error('this issuer has no key');
    return key;
  }

  /** A token as a platform makes it, with whatever a test wants to be different; undefined leaves out. */
  async token(claims: Json = {}, header: Json = {}, key = this.key): Promise<string> {
    const now = Math.floor(Date.now() / 1_000);
    const all = {
      iss: this.url,
      sub: SUBJECT,
      aud: ['token-broker'],
      iat: now,
      nbf: now,
      exp: now + 3_600,
      // Recognisable, so that a token that is printed is found.
      jti: 'test-secret-workload',
      ...claims,
    };
    return new SignJWT(withoutGaps(all))
      .setProtectedHeader({ alg: key.alg, ...withoutGaps({ kid: key.kid, ...header }) })
      .sign(key.privateKey);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { pathname: path } = new URL(request.url ?? '/', this.url);
    const { authorization } = request.headers;
    this.requests.push({ path, authorization });
    const bent = this.bent.get(path);
    if (bent) return bent(request, response);
    if (this.wants !== null && authorization !== `Bearer ${this.wants}`) return answer(response, 401, {});
    if (path === DISCOVERY) {
      return answer(response, 200, { issuer: this.url, jwks_uri: `${this.url}/keys`, ...this.metadata });
    }
    if (path === KEYS) return answer(response, 200, { keys: this.keys.map(({ jwk }) => jwk) });
    return answer(response, 404, {});
  }
}

function answer(response: ServerResponse, status: number, body: Json): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const withoutGaps = (members: Json): Json => JSON.parse(JSON.stringify(members)) as Json;
