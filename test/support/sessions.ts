import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import type { IssuedToken } from '../../src/provider/token-provider.js';
import { SessionService } from '../../src/session/session.service.js';
import { BROKER } from '../../src/shared/actor.js';
import { Secret } from '../../src/shared/secret.js';
import type { Json } from './http.js';
import { API_KEY, API_SECRET, type LocalBroker, type World } from './world.js';

const EXTENSION = `Basic ${Buffer.from(`${API_KEY}:${API_SECRET}`).toString('base64')}`;

/** Whose session, and what is to be other than the simulator has it. */
export interface Opening {
  readonly companyId: string;
  readonly userId?: string;
  readonly provider?: string;
  /** Seconds. */
  readonly ttl?: number;
  readonly issued?: Partial<IssuedToken>;
}

/** A session as a callback leaves it behind: not traded yet. */
export interface Opened {
  readonly ticket: string;
  /** The user's token, as the simulator issued it. */
  readonly token: string;
}

/** Opens a session with a real online token: this user consents, and the code is redeemed for the user's own token. */
export async function openSession(world: World, local: LocalBroker, opening: Opening): Promise<Opened> {
  const { companyId, userId = 'user-1', provider = 'fynd', ttl = 3_600, issued = {} } = opening;
  await world.simulator.settings('fynd', { user_id: userId, online_token_ttl: ttl });
  const consent = { client_id: API_KEY, scope: 'company/products,company/orders' };
  const code = await world.simulator.consent(companyId, consent);
  const sentAt = world.clock.monotonic();
  const redeem = { grant_type: 'authorization_code', code };
  const { body } = await world.simulator.post(companyId, 'token', redeem, EXTENSION);
  const token: IssuedToken = {
    accessToken: new Secret(String(body['access_token'])),
    tokenType: 'Bearer',
    lifetimeSeconds: Number(body['expires_in']),
    lifetimeAssumed: false,
    scopes: body['scope'] as string[],
    grant: null,
    refreshTokenKept: null,
    sentAt,
    dialect: 'online',
    ...issued,
  };
  const { app } = local.broker;
  const ticket = await app
    .get(SessionService)
    .open(
      app.get(ProviderRegistry).get(provider),
      companyId,
      token,
      String((body['current_user'] as Json)['_id']),
      BROKER,
    );
  return { ticket: ticket.reveal(), token: token.accessToken.reveal() };
}

/** Opens one and trades its ticket: the id that the extension's backend keeps. */
export async function beginSession(
  world: World,
  local: LocalBroker,
  opening: Opening,
): Promise<{ id: string; token: string }> {
  const { ticket, token } = await openSession(world, local, opening);
  const { status, body } = await world.api(local, 'POST', '/v1/sessions', { ticket });
  if (status !== 201) throw new Error(`the ticket was not traded: ${status} ${String(body['code'])}`);
  return { id: String(body['session_id']), token };
}
