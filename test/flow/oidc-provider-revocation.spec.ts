import { beforeEach, describe, expect, it } from '@jest/globals';
import { RevocationService } from '../../src/token/revocation.service.js';
import { eventually, type Json } from '../support/http.js';
import { useOidcScene, type OidcScene } from '../support/oidc-scene.js';
import type { IssuedTokens } from '../support/oidc-server.js';
import type { LocalBroker } from '../support/world.js';

const REVOKED = { upstream: 'revoked', token_valid_until: null };
const REVOCATION = '/token/revocation';
/** A little longer than a debt that could not be paid at once waits. */
const UNTIL_RETRY_S = 61;

async function disconnect(scene: OidcScene, { id }: Json): Promise<Json> {
  return (await scene.api('DELETE', `/v1/connections/${String(id)}`)).body;
}

/** What the server itself says of tokens that it issued: of the access token, and of the refresh token. */
async function areActive(scene: OidcScene, { access, refresh }: IssuedTokens): Promise<unknown[]> {
  const told = await Promise.all(
    [access, refresh].map((token) => scene.ask('/token/introspection', { token })),
  );
  return told.map(({ body }) => body['active']);
}

describe('revoking a connection', () => {
  const scene = useOidcScene();
  let connection: Json;
  let tokens: IssuedTokens;

  beforeEach(async () => {
    await scene.register('crm');
    await scene.world.sql('truncate connections, provider_states, owed_revocations');
    connection = await scene.connect('1');
    tokens = scene.server.lastIssued;
  });

  const retry = ({ broker }: LocalBroker = scene.broker): Promise<void> =>
    broker.app.get(RevocationService).retry();
  const debts = (): Promise<Json[]> => scene.world.sql<Json>('select connection_id from owed_revocations');
  const countRevocations = (): number => scene.server.paths.filter((path) => path === REVOCATION).length;

  /** Revokes while the server is away, which then comes back. */
  async function owe(): Promise<void> {
    scene.server.isDown = true;
    expect(await disconnect(scene, connection)).toMatchObject({ upstream: 'owed' });
    scene.server.forget();
  }

  it('ends its grant at the server, which accepts neither token from then on', async () => {
    const served = await scene.token('1');
    expect(await areActive(scene, tokens)).toEqual([true, true]);
    expect(await disconnect(scene, connection)).toEqual(REVOKED);
    expect(await areActive(scene, tokens)).toEqual([false, false]);
    expect(await scene.isAccepted(served)).toBe(false);
    const refreshed = await scene.ask('/token', {
      grant_type: 'refresh_token',
      refresh_token: tokens.refresh,
    });
    expect(refreshed.body).toMatchObject({ error: 'invalid_grant' });
    expect(await debts()).toEqual([]);
    expect(await scene.token('1')).toMatchObject({ status: 410, body: { code: 'connection_revoked' } });
  });

  it('is owed while the server is away, honestly, and paid once it is back', async () => {
    scene.server.isDown = true;
    const owed = { upstream: 'owed', token_valid_until: connection['expires_at'] };
    expect(await disconnect(scene, connection)).toEqual(owed);
    expect(await disconnect(scene, connection)).toEqual(owed);
    await scene.world.advance(UNTIL_RETRY_S);
    await retry();
    expect(await debts()).toEqual([{ connection_id: connection['id'] }]);

    scene.server.forget();
    expect(await areActive(scene, tokens)).toEqual([true, true]);
    await scene.world.advance(UNTIL_RETRY_S);
    await retry();
    expect(await areActive(scene, tokens)).toEqual([false, false]);
    expect(await debts()).toEqual([]);
    expect(await disconnect(scene, connection)).toEqual(REVOKED);
  });

  it.each([
    ['is busy', 503],
    ['asks for patience', 429],
  ])('is owed where the server %s', async (_what, status) => {
    scene.server.bent.set(REVOCATION, (_request, response) => void response.writeHead(status).end());
    expect(await disconnect(scene, connection)).toMatchObject({ upstream: 'owed' });
    scene.server.forget();
    await scene.world.advance(UNTIL_RETRY_S);
    await retry();
    expect(await areActive(scene, tokens)).toEqual([false, false]);
  });

  it('is owed where the server does not know the client, and paid once it does', async () => {
    await scene.register('crm', { client_secret: 'test-secret-of-nobody' });
    expect(await disconnect(scene, connection)).toMatchObject({ upstream: 'owed' });
    await scene.register('crm');
    expect(await areActive(scene, tokens)).toEqual([true, true]);
    await scene.world.advance(UNTIL_RETRY_S);
    await retry();
    expect(await areActive(scene, tokens)).toEqual([false, false]);
  });

  it('is paid once, whoever looks', async () => {
    const other = await scene.another();
    await owe();
    await retry();
    expect(countRevocations()).toBe(0);
    await scene.world.advance(UNTIL_RETRY_S);
    await Promise.all([retry(), retry(other), retry()]);
    // The refresh token and the access token.
    expect(countRevocations()).toBe(2);
  });

  it('is owed no more where the seller has connected again: the new grant is not harmed', async () => {
    await owe();
    expect(await scene.connect('1')).toMatchObject({ id: connection['id'], token_version: 2 });
    const renewed = scene.server.lastIssued;
    await scene.world.advance(UNTIL_RETRY_S);
    await retry();
    expect(await debts()).toEqual([]);
    expect(countRevocations()).toBe(0);
    expect(await areActive(scene, renewed)).toEqual([true, true]);
    expect(await scene.renew('1')).toMatchObject({ status: 'active', token_version: 3 });
  });

  it('is owed until the last grant has ended of a connection that was revoked, connected and revoked again', async () => {
    await owe();
    const again = await scene.connect('1');
    const [former, latter] = [tokens, scene.server.lastIssued];
    await owe();
    await scene.world.advance(UNTIL_RETRY_S);
    await scene.world.sql(
      `update owed_revocations set next_try_at = next_try_at + interval '10 minutes'
       where next_try_at = (select max(next_try_at) from owed_revocations)`,
    );
    await retry();
    expect(await areActive(scene, former)).toEqual([false, false]);
    expect(await areActive(scene, latter)).toEqual([true, true]);
    const owed = { upstream: 'owed', token_valid_until: again['expires_at'] };
    expect(await disconnect(scene, connection)).toEqual(owed);
    await scene.world.advance(600);
    await retry();
    expect(await areActive(scene, latter)).toEqual([false, false]);
    expect(await disconnect(scene, connection)).toEqual(REVOKED);
  });

  it('is given up after a day, when what was kept for it is erased, and then nothing is said to be owed', async () => {
    scene.server.isDown = true;
    await disconnect(scene, connection);
    await scene.world.advance(86_401);
    await retry();
    expect(await debts()).toEqual([]);
    expect(await disconnect(scene, connection)).toEqual({ upstream: 'unsupported', token_valid_until: null });
  });

  it('ends the grant also while a renewal is on its way, whose tokens then are worth nothing', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    scene.server.forget();
    scene.server.hold = () => released;
    const renewing = scene.renew('1');
    await eventually(() => scene.server.tokenRequests.length === 1);
    const late = scene.server.lastIssued;
    expect(late.refresh).not.toBe(tokens.refresh);
    expect(await disconnect(scene, connection)).toEqual(REVOKED);
    release();
    expect(await renewing).toMatchObject({ status: 'revoked' });
    expect(await areActive(scene, late)).toEqual([false, false]);
    expect((await scene.token('1')).status).toBe(410);
  });
});

describe('a server that cannot be told', () => {
  const scene = useOidcScene(undefined, { revokes: false });

  it('goes on accepting the token, and that is what is said', async () => {
    const connection = await scene.connect('1');
    const tokens = scene.server.lastIssued;
    const told = { upstream: 'unsupported', token_valid_until: connection['expires_at'] };
    expect(await disconnect(scene, connection)).toEqual(told);
    expect(await areActive(scene, tokens)).toEqual([true, true]);
    expect(await disconnect(scene, connection)).toEqual(told);
    await scene.world.advance(3_601);
    expect(await disconnect(scene, connection)).toEqual({ upstream: 'unsupported', token_valid_until: null });
    expect(await scene.world.sql('select 1 from owed_revocations')).toEqual([]);
  });
});
