import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { useConsents, useOtherBrokers, useProvidersFiles } from '../support/consents.js';
import type { Json } from '../support/http.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

const NEW = 'test-secret-new';
const OLD = API_SECRET;

/** The same client at Connect, which has codes of its own, and at a server that speaks as RFC 6749 does. */
describe.each([
  ['connect', 'connect', { error_style: 'connect' }],
  ['crm', 'oauth2', {}],
] as const)('the client secrets of %s', (provider, simulated, style) => {
  const world = useWorld();
  const seller = useConsents(world);
  const start = useOtherBrokers(world);
  const writeProviders = useProvidersFiles();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-secrets-'));
  const file = join(folder, 'secret');

  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  beforeEach(() => world.simulator.settings(simulated, { ...style, rotation: 'strict' }));

  /** Which of the two the server takes. */
  const accept = (...secrets: string[]): Promise<unknown> =>
    world.simulator.settings(simulated, {
      first_secret: secrets.includes(OLD),
      accepted_secrets: secrets.includes(NEW) ? [NEW] : [],
    });

  function settings(secrets: Json): Json {
    const { url } = world.simulator;
    const client = { kind: 'oauth2', client_id: API_KEY, ...secrets };
    const dialects = {
      connect: {
        ...client,
        authorize_url: `${url}/connect/oAuth/authorize`,
        token_url: `${url}/connect/v1/oauth2/token`,
        body: 'json',
        pkce: false,
        client_error_codes: [2032, 2036, 2038],
      },
      crm: { ...client, issuer: url },
    };
    return { [provider]: dialects[provider] };
  }

  const startWith = (...client_secrets: string[]): Promise<LocalBroker> =>
    start({ PROVIDERS_FILE: writeProviders(settings({ client_secrets })) });

  /** The outcomes of the token calls since the last look. */
  let seen = 0;
  beforeEach(() => void (seen = 0));
  async function outcomes(): Promise<unknown[]> {
    const { entries } = await world.simulator.ledger();
    return entries.slice(seen, (seen = entries.length)).map(({ outcome }) => outcome);
  }

  it('are tried in order, and the one that was accepted is tried first from then on', async () => {
    const broker = await startWith(NEW, OLD);
    await accept(OLD);
    expect((await seller.connect(broker, provider)).status).toBe(200);
    expect(await outcomes()).toEqual(['invalid_client', 'ok']);
    expect((await seller.renew(broker, provider)).body).toMatchObject({ token_version: 2, last_error: null });
    expect((await seller.renew(broker, provider)).body).toMatchObject({ token_version: 3, last_error: null });
    expect(await outcomes()).toEqual(['ok', 'ok']);

    await accept(NEW);
    expect((await seller.renew(broker, provider)).body).toMatchObject({ token_version: 4, last_error: null });
    expect(await outcomes()).toEqual(['invalid_client', 'ok']);
    expect((await seller.renew(broker, provider)).body).toMatchObject({ token_version: 5, last_error: null });
    expect(await outcomes()).toEqual(['ok']);
  });

  it('are all that is misconfigured where all are refused: nothing dies, and one that is right again is found', async () => {
    const broker = await startWith(NEW, OLD);
    await seller.connect(broker, provider);
    await seller.renew(broker, provider);
    await accept();
    await outcomes();
    await world.advance(600);
    const refused = await seller.renew(broker, provider);
    expect(refused.body).toMatchObject({ status: 'active', last_error: 'client_refused', token_version: 2 });
    const short = await seller.token(broker, provider, '?min_ttl=3200');
    expect([short.status, short.body['code']]).toEqual([502, 'provider_misconfigured']);
    expect((await seller.token(broker, provider)).body).toMatchObject({ version: 2, stale: true });
    // Each of them once, and then nobody asks until a probe may.
    expect(await outcomes()).toEqual(['invalid_client', 'invalid_client']);

    await accept(NEW);
    await world.advance(31);
    expect(await seller.recover(broker, provider)).toMatchObject({ status: 'active' });
    expect((await seller.token(broker, provider)).body['stale']).toBe(false);
  });

  it('keep nothing of a consent where all are refused', async () => {
    const broker = await startWith(NEW, OLD);
    await accept();
    const page = await seller.connect(broker, provider);
    expect([page.status, page.text]).toEqual([502, expect.stringContaining('not set up rightly')]);
    expect(await outcomes()).toEqual(['invalid_client', 'invalid_client']);
    expect(await seller.connection(broker, provider)).toBeUndefined();
  });

  it.each([
    ['nothing else', {}],
    ['a body that says 401 again', { code: 401, message: 'Unauthorized' }],
  ])('are tried on after a 401 with %s', async (_, body) => {
    const broker = await startWith(NEW, OLD);
    await world.simulator.fault({ provider: simulated, operation: 'exchange', times: 1, status: 401, body });
    expect((await seller.connect(broker, provider)).status).toBe(200);
    expect(await outcomes()).toEqual(['not_performed', 'ok']);
  });

  it.each([
    ['a dead grant', { status: 400, body: { error: 'invalid_grant' } }],
    ['a 400 without a code', { status: 400, body: {} }],
    ['too many requests', { status: 429, retry_after: 60 }],
    ['a server in trouble', { status: 503, retry_after: 60 }],
    ['a lost answer', { lost_reply: true }],
  ])('are not tried on after %s, which says nothing of them', async (_, fault) => {
    const broker = await startWith(OLD, NEW);
    await seller.connect(broker, provider);
    await outcomes();
    await world.simulator.fault({ provider: simulated, operation: 'renew', times: 1, ...fault });
    await seller.renew(broker, provider);
    expect(await outcomes()).toHaveLength(1);
  });

  it('may lie in a file, whose change counts at once, without a restart and without a wait for a probe', async () => {
    writeFileSync(file, OLD);
    const broker = await start({
      CLIENT_SECRET_FILE: file,
      PROVIDERS_FILE: writeProviders(settings({ client_secret: '${CLIENT_SECRET}' })),
    });
    await seller.connect(broker, provider);
    await accept(NEW);
    expect((await seller.renew(broker, provider)).body['last_error']).toBe('client_refused');
    writeFileSync(`${file}.next`, NEW);
    renameSync(`${file}.next`, file);
    expect(await seller.recover(broker, provider)).toMatchObject({ status: 'active', token_version: 2 });
  });
});

describe('the client secret of Connect as it is shipped', () => {
  const world = useWorld();
  const seller = useConsents(world);
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-secrets-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('may come from CONNECT_CLIENT_SECRET_FILE', async () => {
    const path = join(folder, 'connect');
    writeFileSync(path, `${NEW}\n`);
    await world.simulator.settings('connect', { first_secret: false, accepted_secrets: [NEW] });
    const broker = await world.local({ CONNECT_CLIENT_SECRET: undefined, CONNECT_CLIENT_SECRET_FILE: path });
    expect((await seller.connect(broker, 'connect')).status).toBe(200);
  });
});
