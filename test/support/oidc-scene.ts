import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Browser } from './browser.js';
import type { Answer, Json } from './http.js';
import { OidcServer, type IssuedTokens, type OidcServerOptions } from './oidc-server.js';
import { useWorld, type LocalBroker, type World } from './world.js';

export const CLIENT_SECRET = 'test-secret-of-the-client';
/** Where a grant comes that is not the broker's; nobody needs to be there. */
const ELSEWHERE = 'http://127.0.0.1/elsewhere';

/** A provider that is the server, with nothing said of it but who it is and what is wanted of it. */
export const CRM = `
  crm:
    kind: oauth2
    issuer: \${OIDC_ISSUER}
    client_id: crm
    client_secret: \${CRM_CLIENT_SECRET}
    scopes: [openid, offline_access]
    authorize_params: { prompt: consent }
    rotation: strict
`;

/** Where a broker listens, whatever process it runs in. */
type At = Pick<LocalBroker, 'api'>;

interface OidcSceneOptions extends OidcServerOptions {
  /** Variables that the providers' file names. */
  readonly environment?: Record<string, string>;
}

/** A broker and a real OpenID Provider that it knows from YAML, with a seller's browser and an operator before them. */
export class OidcScene {
  broker!: LocalBroker;
  server!: OidcServer;
  readonly #brokers: LocalBroker[] = [];
  #companies = 0;

  constructor(
    readonly world: World,
    private readonly variables: Record<string, string>,
  ) {}

  async open(options: OidcServerOptions): Promise<void> {
    this.server = await OidcServer.start(options);
    this.broker = await this.another();
    await this.register('crm');
  }

  /** The variables of a broker that works with this server. */
  environment(): Record<string, string> {
    return { OIDC_ISSUER: this.server.url, CRM_CLIENT_SECRET: CLIENT_SECRET, ...this.variables };
  }

  /** One more broker in this process, that has asked nobody for anything yet. It renews nothing but what a test asks for. */
  async another(): Promise<LocalBroker> {
    const local = await this.world.local(this.environment());
    await local.broker.app.get(RenewalSchedule).stop();
    this.#brokers.push(local);
    return local;
  }

  /** Registers the client of a provider of the file, by its name unless `metadata` says otherwise, for every broker so far. */
  async register(
    name: string,
    metadata: Json & { client_id?: string; client_secret?: string } = {},
  ): Promise<void> {
    const callbacks = this.#brokers.map((broker) => `${broker.public}/oauth/${name}/callback`);
    await this.server.register({
      client_id: name,
      client_secret: CLIENT_SECRET,
      redirect_uris: [...callbacks, ELSEWHERE],
      ...metadata,
    });
  }

  /** The client's own words, where the test is the client and the broker is not asked. */
  async ask(path: string, parameters: Record<string, string>): Promise<{ status: number; body: Json }> {
    const client = { client_id: 'crm', client_secret: CLIENT_SECRET };
    return this.server.ask(path, { ...client, ...parameters });
  }

  /** A grant that is obtained without the broker. */
  async grantElsewhere(): Promise<IssuedTokens> {
    const verifier = randomBytes(32).toString('base64url');
    const query = new URLSearchParams({
      client_id: 'crm',
      redirect_uri: ELSEWHERE,
      response_type: 'code',
      scope: 'openid offline_access',
      prompt: 'consent',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    });
    const { headers } = await new Browser().follow(`${this.server.url}/auth?${String(query)}`, [
      this.server.host,
    ]);
    await this.ask('/token', {
      grant_type: 'authorization_code',
      redirect_uri: ELSEWHERE,
      code: new URL(headers.get('location') ?? '').searchParams.get('code') ?? '',
      code_verifier: verifier,
    });
    const { lastIssued } = this.server;
    this.server.forget();
    return lastIssued;
  }

  nextCompany(): string {
    this.#companies += 1;
    return String(this.#companies);
  }

  async api(method: string, path: string, body?: unknown, broker: At = this.broker): Promise<Answer> {
    return this.world.api(broker, method, path, body);
  }

  /** An operator has a connection renewed now; the connection as it then is. */
  async renew(company: string, provider = 'crm', broker: At = this.broker): Promise<Json> {
    const { id } = await this.connectionOf(company, provider);
    return (await this.api('POST', `/v1/connections/${String(id)}/renew`, undefined, broker)).body;
  }

  /** The link by which an operator sends a seller to consent. */
  async link(company: string, provider = 'crm', broker = this.broker): Promise<string> {
    const path = `/v1/connections/${provider}/companies/${company}/authorize-link`;
    const { status, body, text } = await this.world.api(broker, 'POST', path, {});
    if (status !== 200) throw new Error(`no link: ${text}`);
    return String(body['url']);
  }

  /** Goes where a link leads, through the server, until there is a page to be read. */
  async follow(link: string, browser = new Browser()): Promise<Answer & { url: string }> {
    return browser.follow(link, [new URL(link).host, this.server.host]);
  }

  /** A seller connects a company; the connection. */
  async connect(company: string, provider = 'crm', broker = this.broker): Promise<Json> {
    const { status, text } = await this.follow(await this.link(company, provider, broker));
    if (status !== 200) throw new Error(`not connected: ${text}`);
    return this.connectionOf(company, provider);
  }

  async connectionOf(company: string, provider = 'crm'): Promise<Json> {
    const { body } = await this.api('GET', `/v1/connections?provider=${provider}&company_id=${company}`);
    const [found] = body['items'] as Json[];
    if (!found) throw new Error('there is no such connection');
    return found;
  }

  async token(company: string, provider = 'crm'): Promise<Answer> {
    return this.api('GET', `/v1/tokens/${provider}/companies/${company}`);
  }

  /** What the server's userinfo endpoint says to a header as the broker hands it out: 200 where the token is good. */
  async isAccepted({ body }: Answer): Promise<boolean> {
    const { name, value } = body['header'] as { name: string; value: string };
    if (name !== 'Authorization') throw new Error(`the server does not look at ${name}`);
    return (await this.server.userinfo(value)) === 200;
  }
}

/** Gives the suite that calls this a world, a real OpenID Provider, and a broker with these providers in its file. */
export function useOidcScene(providers = CRM, options: OidcSceneOptions = {}): OidcScene {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const file = join(folder, 'providers.yaml');
  writeFileSync(file, `providers:${providers}`);
  const scene = new OidcScene(world, { PROVIDERS_FILE: file, ...options.environment });
  beforeAll(() => scene.open(options));
  beforeEach(() => scene.server.forget());
  afterAll(async () => {
    await scene.server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return scene;
}
