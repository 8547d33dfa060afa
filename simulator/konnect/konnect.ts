import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { jsonAnswer } from '../answer.js';
import { BoundedMap } from '../bounded-map.js';
import type { SimulatorClock } from '../clock.js';
import { FaultPlayer, type Stage, type Work } from '../fault-player.js';
import { textField } from '../fields.js';
import type { SimulatedProvider, TokenState } from '../provider.js';
import { fingerprint, mintJwt, mintSecret } from '../secrets.js';
import { SettingsStore } from '../settings-store.js';
import { konnectDefaults, type KonnectSettings, konnectSettingsSchema } from './settings.js';

interface KonnectToken {
  readonly username: string;
  /** Ms since the epoch. */
  readonly expiresAt: number;
  isKilled: boolean;
}

const KEPT_TOKENS = 200_000;

/** Fynd Konnect: a username and a password for a token, with every refusal told in a 200. */
export class Konnect implements SimulatedProvider {
  readonly name = 'konnect';
  readonly operations = ['token'];
  readonly settings: SettingsStore<KonnectSettings>;
  private readonly tokens = new BoundedMap<KonnectToken>(KEPT_TOKENS);
  private readonly newest = new Map<string, KonnectToken>();
  private readonly player: FaultPlayer;
  private readonly clock: SimulatorClock;

  constructor(tokenTtl: number, stage: Stage) {
    this.settings = new SettingsStore(konnectDefaults(tokenTtl), konnectSettingsSchema);
    this.player = new FaultPlayer(stage, this.settings);
    this.clock = stage.clock;
  }

  addRoutes(app: FastifyInstance): void {
    app.route({
      method: ['GET', 'POST'],
      url: '/aggregator/v1/token',
      handler: (request, reply) => this.giveToken(request, reply),
    });
    app.get('/aggregator/v1/resource', (request, reply) => this.giveResource(request, reply));
  }

  findToken(token: string): TokenState | null {
    const found = this.tokens.get(token);
    if (found === undefined) return null;
    const left = found.isKilled ? 0 : Math.max(0, (found.expiresAt - this.clock.now()) / 1000);
    return {
      active: left > 0,
      kind: 'konnect',
      company_id: null,
      username: found.username,
      grant_id: null,
      expires_in: Math.floor(left),
    };
  }

  reset(): void {
    this.settings.reset();
    this.tokens.clear();
    this.newest.clear();
  }

  private giveToken({ query, body }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const username = textField(query, 'username') ?? textField(body, 'username');
    const password = textField(query, 'password') ?? textField(body, 'password');
    const call = {
      provider: this.name,
      operation: 'token',
      dialect: null,
      company_id: null,
      username,
      grant_id: null,
      fingerprints: password === null ? {} : { password: fingerprint(password) },
    };
    return this.player.runTokenCall(call, reply, (offsetMs) => this.exchange(username, password, offsetMs));
  }

  private exchange(username: string | null, password: string | null, offsetMs: number): Work {
    if (username === null || password === null) {
      return refused('missing_credential', 'Username and password are required', 'KONNECT-1001');
    }
    if (password.startsWith('wrong')) {
      return refused('credential_rejected', 'Invalid username or password', 'KONNECT-1002');
    }
    const body = { [this.settings.current.field]: this.mint(username, offsetMs), status: 'SUCCESS' };
    return { answer: jsonAnswer(200, body), outcome: 'ok' };
  }

  private mint(username: string, offsetMs: number): string {
    const { token_ttl, jwt, kills_previous } = this.settings.current;
    const expiresAt = this.clock.now() + token_ttl * 1000;
    const exp = Math.floor((expiresAt + offsetMs) / 1000);
    const token = jwt ? mintJwt({ sub: username, exp }) : mintSecret('konnect');
    const previous = this.newest.get(username);
    if (kills_previous && previous !== undefined) previous.isKilled = true;
    const minted = { username, expiresAt, isKilled: false };
    this.tokens.set(token, minted);
    this.newest.set(username, minted);
    return token;
  }

  private giveResource(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const token = request.headers['x-access-token'];
    const state = typeof token === 'string' ? this.findToken(token) : null;
    if (!state?.active) {
      return reply.code(401).send({ status: 'FAILURE', message: 'Unauthorized', errorCode: 'KONNECT-1003' });
    }
    return reply.send({ status: 'SUCCESS', ok: true, username: state.username });
  }
}

function refused(outcome: string, message: string, errorCode: string): Work {
  return { answer: jsonAnswer(200, { status: 'FAILURE', message, errorCode }), outcome };
}
