import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, type Answer } from '../support/http.js';
import { useOidcScene } from '../support/oidc-scene.js';
import type { TokenRequest } from '../support/oidc-server.js';
import type { Replica } from '../support/replica.js';

const TTL_S = 600;
/** Long enough for somebody else to send the same refresh token, while the answer to it is on its way. */
const ANSWER_MS = 100;
const RENEWALS = 20;
const TOKEN = '/v1/tokens/crm/companies/1';

describe('three replicas, at a server that ends a grant whose refresh token comes twice', () => {
  const scene = useOidcScene(undefined, { tokenTtl: TTL_S });
  let replicas: Replica[];

  beforeAll(async () => {
    replicas = await Promise.all([1, 2, 3].map(() => scene.world.replica(scene.environment())));
  });

  beforeEach(() => {
    scene.server.hold = () => sleep(ANSWER_MS);
  });

  /** Every replica is asked the same, several times at once. */
  async function ask(method: string, path: string, body?: unknown): Promise<Answer[]> {
    const thrice = [...replicas, ...replicas, ...replicas];
    return Promise.all(thrice.map((replica) => scene.world.api(replica, method, path, body)));
  }

  const renewals = (): TokenRequest[] =>
    scene.server.tokenRequests.filter(({ grantType }) => grantType === 'refresh_token');

  /** Ways in which a version comes to be renewed; each returns when it is. */
  const ways: readonly ((version: number) => Promise<void>)[] = [
    async function expired(version) {
      await scene.world.advance(TTL_S + 1);
      await eventually(async () =>
        (await ask('GET', TOKEN)).every(({ body }) => body['version'] === version + 1),
      );
    },
    async function reported(version) {
      await scene.world.advance(100);
      const answers = await ask('POST', `${TOKEN}/report`, { version, status: 401 });
      for (const { body } of answers) expect(body).toMatchObject({ version: version + 1 });
    },
    async function due() {
      await scene.world.advance(TTL_S * 0.85);
    },
    async function byHand(version) {
      await scene.world.advance(100);
      const replica = replicas[version % replicas.length];
      const [renewed] = await Promise.all([scene.renew('1', 'crm', replica), ask('GET', TOKEN)]);
      expect(renewed).toMatchObject({ token_version: version + 1 });
    },
  ];

  it(`renew ${RENEWALS} times in a row, lose nothing, and send no refresh token twice`, async () => {
    await scene.connect('1');
    const first = scene.server.tokenRequests[0]?.issued;
    for (let version = 1; version <= RENEWALS; version += 1) {
      await ways[version % ways.length]?.(version);
      await eventually(async () => (await scene.connectionOf('1'))['token_version'] === version + 1);
    }
    expect(renewals().map(({ error }) => error)).toEqual(Array(RENEWALS).fill(null));
    // Each was sent once, right after it had come.
    const issued = renewals().map((renewal) => renewal.issued);
    expect(renewals().map(({ presented }) => presented)).toEqual([first, ...issued.slice(0, -1)]);
    expect(new Set([first, ...issued]).size).toBe(RENEWALS + 1);

    expect(await scene.connectionOf('1')).toMatchObject({ status: 'active', token_version: RENEWALS + 1 });
    for (const served of await ask('GET', TOKEN)) expect(await scene.isAccepted(served)).toBe(true);
    const { body } = await scene.api('GET', '/v1/providers');
    expect(body['items']).toMatchObject([{ name: 'crm', status: 'ok', rotation_observed: 'rotating' }]);
  }, 240_000);

  it('send none twice either that are all told to renew at once', async () => {
    const { id } = await scene.connect('2');
    for (let again = 0; again < 3; again += 1) {
      for (const { status } of await ask('POST', `/v1/connections/${String(id)}/renew`))
        expect(status).toBe(200);
    }
    expect(renewals().length).toBeGreaterThanOrEqual(3);
    expect(new Set(renewals().map(({ presented }) => presented)).size).toBe(renewals().length);
    expect(await scene.connectionOf('2')).toMatchObject({
      status: 'active',
      token_version: renewals().length + 1,
    });
  });

  it('would have lost the grant by one that comes twice', async () => {
    await scene.connect('3');
    const { refresh } = scene.server.lastIssued;
    await scene.renew('3');
    const stolen = await scene.ask('/token', { grant_type: 'refresh_token', refresh_token: refresh });
    expect(stolen.body).toMatchObject({ error: 'invalid_grant' });
    expect(await scene.isAccepted(await scene.token('3'))).toBe(false);
    expect(await scene.renew('3')).toMatchObject({ status: 'reauthorization_required' });
  });
});
