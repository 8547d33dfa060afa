import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Answer, jsonAnswer } from '../answer.js';
import { commonDefaults, commonSchema, type CommonSettings } from '../common-settings.js';
import { FaultPlayer, type Stage, type Work } from '../fault-player.js';
import { credentialsOf } from '../fields.js';
import type { SimulatedProvider, TokenState } from '../provider.js';
import { fingerprint } from '../secrets.js';
import { SettingsStore } from '../settings-store.js';
import { type PortalToken, PortalTokens, type TokenRequest, tokenRequestSchema } from './tokens.js';

/** The name of an error, its status and the cause that goes with it: the three things that the portal tells. */
type Failure = readonly [error: string, code: number, cause: string];

const MALFORMED: Failure = ['Unauthorized', 401, 'no bearer token came that this portal has issued'];
const REVOKED: Failure = ['Unauthorized', 401, 'the token was revoked'];
const EXPIRED: Failure = ['Token expired', 401, 'the token is past its expiry'];
const FORBIDDEN: Failure = ['Forbidden', 403, 'the token lacks a scope'];
const TOO_MANY: Failure = ['Rate limit exceeded', 429, 'the calls came too fast'];

/** A seller portal: tokens that a person makes and revokes, and an API that accepts them. */
export class Portal implements SimulatedProvider {
  readonly name = 'portal';
  readonly operations = ['resource'];
  readonly settings: SettingsStore<CommonSettings>;
  private readonly tokens: PortalTokens;
  private readonly player: FaultPlayer;

  constructor(stage: Stage) {
    const schema = { type: 'object', additionalProperties: false, properties: commonSchema };
    this.settings = new SettingsStore(commonDefaults, schema);
    this.tokens = new PortalTokens(stage.clock);
    this.player = new FaultPlayer(stage, this.settings, failed(TOO_MANY));
  }

  addRoutes(app: FastifyInstance): void {
    app.get('/portal/v1/resource', (request, reply) => this.giveResource(request, reply));
    const path = `/_simulator/${this.name}/tokens`;
    app.post<{ Body: TokenRequest }>(path, { schema: { body: tokenRequestSchema } }, ({ body }, reply) =>
      reply.code(201).send(this.tokens.make(body)),
    );
    app.delete<{ Params: { id: string } }>(`${path}/:id`, ({ params }) => ({
      revoked: this.tokens.revoke(params.id),
    }));
  }

  findToken(token: string): TokenState | null {
    return this.tokens.find(token);
  }

  reset(): void {
    this.settings.reset();
    this.tokens.reset();
  }

  private giveResource({ headers, query }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const value = credentialsOf(headers.authorization, 'Bearer');
    const token = value === null ? null : this.tokens.get(value);
    const call = {
      provider: this.name,
      operation: 'resource',
      dialect: null,
      company_id: null,
      username: token?.username ?? null,
      grant_id: token?.id ?? null,
      fingerprints: value === null ? {} : { token: fingerprint(value) },
    };
    return this.player.runTokenCall(call, reply, () => this.open(token, query));
  }

  private open(token: PortalToken | null, query: unknown): Work {
    if (token === null) return refused('unauthorized', MALFORMED);
    if (token.isRevoked) return refused('revoked', REVOKED);
    if (!this.tokens.isAlive(token)) return refused('expired', EXPIRED);
    if (!this.tokens.opens(token, scopesOf(query))) return refused('forbidden', FORBIDDEN);
    const { id, token_type, scopes } = token;
    return { answer: jsonAnswer(200, { ok: true, id, token_type, scopes }), outcome: 'ok' };
  }
}

/** `?scope=a,b` and `?scope=a&scope=b` alike. */
function scopesOf(query: unknown): string[] {
  const { scope } = query as { scope?: string | string[] };
  return [scope ?? []].flat().flatMap((text) => text.split(',').filter((part) => part !== ''));
}

function failed([error, code, cause]: Failure): Answer {
  return jsonAnswer(code, { error, code, cause });
}

function refused(outcome: string, failure: Failure): Work {
  return { answer: failed(failure), outcome };
}
