import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { RenewalClaims } from '../../src/token/renewal-claims.js';
import { TokenRenewer } from '../../src/token/token-renewer.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';
import { eventually, type Json } from '../support/http.js';
import { useProvidersFiles } from '../support/consents.js';

const GRACE_S = 60;

type Row = Json & { readonly id: string; readonly remaining: number; readonly renewsIn: number };

/** A provider lets a refresh token that was replaced pass for a while: what the broker knows as `rotation_grace`. */
describe('a refresh token that may be sent again for a while', () => {
  const world = useWorld();
  const writeProviders = useProvidersFiles();
  let broker: LocalBroker;
  let other: LocalBroker;

  beforeAll(async () => {
    const fynd = {
      kind: 'fynd-platform',
      base_url: world.simulator.url,
      api_key: API_KEY,
      api_secret: API_SECRET,
    };
    const grace = { rotation: 'grace', rotation_grace: `${GRACE_S}s` };
    const PROVIDERS_FILE = writeProviders({
      fynd: { ...fynd, ...grace, renewal: 'document', scopes: ['company/products'] },
    });
    broker = await world.local({ PROVIDERS_FILE });
    other = await world.local({ PROVIDERS_FILE });
    for (const one of [broker, other]) world.stopTicking(one);
  });

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
    await world.simulator.settings('fynd', { rotation: 'grace', grace_s: GRACE_S });
    await world.install(broker, '42');
    await world.advance(2_900);
  });

  async function row(): Promise<Row> {
    const [found] = await world.sql<Row>(
      `select *, extract(epoch from renew_at - broker_now())::float8 as "renewsIn",
              extract(epoch from expires_at - broker_now())::float8 as remaining from connections`,
    );
    if (!found) throw new Error('there is no connection');
    return found;
  }

  const lose = (how: Json): Promise<unknown> =>
    world.simulator.fault({ provider: 'fynd', operation: 'renew', times: 1, ...how });
  const counters = async (): Promise<Json> => (await world.simulator.ledger()).counters;

  /** One attempt, and no other after it: a backoff may be next to nothing, and the schedule quick. */
  async function tryOnce(by = broker): Promise<void> {
    const { body } = await world.api(by, 'POST', `/v1/connections/${(await row()).id}/renew`);
    expect([body['token_version'], body['last_error']]).toEqual([1, expect.any(String)]);
  }

  /** The provider has acted, and whoever asked it is dead: its row stays as it was claimed. */
  async function dieAsking(): Promise<void> {
    await lose({ lost_reply: true });
    await tryOnce();
    await world.sql(
      `update connections set lease_owner = 'killed', lease_until = broker_now() + interval '20 seconds',
         renew_at = broker_now() + interval '20 seconds', consecutive_failures = 0, last_error = null`,
    );
  }

  /** On a busy machine the end of the call before is told late, and there is no room for another until then. */
  async function renewed(by: LocalBroker): Promise<void> {
    await eventually(async () => {
      await world.settle(by);
      return (await row())['token_version'] === 2;
    });
  }

  /** As late as the token in hand allows. */
  async function expectPutOff(unknown: 'no_answer' | 'crash'): Promise<Row> {
    const now = await row();
    expect(now).toMatchObject({ status: 'active', unknown_outcome: unknown, last_error: 'lost_in_flight' });
    expect(Math.abs(now.renewsIn - (now.remaining - 45))).toBeLessThan(1);
    return now;
  }

  it.each([
    ['a lost reply', { lost_reply: true }],
    ['a reset', { reset: true }],
    ['a 500', { status: 500 }],
  ])('(%s) is sent again within it, by any replica', async (_how, fault) => {
    await lose(fault);
    await tryOnce();
    expect(await row()).toMatchObject({ unknown_outcome: null, consecutive_failures: 1, token_version: 1 });
    await world.advance(GRACE_S / 2);
    await renewed(other);
    expect(await row()).toMatchObject({ status: 'active', unanswered_since: null });
  });

  it.each([
    ['a lost reply', { lost_reply: true }],
    ['a reset', { reset: true }],
    ['a 500', { status: 500 }],
  ])('(%s) is not sent again once it is over, while the token in hand lives', async (_how, fault) => {
    await lose(fault);
    await tryOnce();
    await world.advance(GRACE_S + 1);
    await world.settle(other);
    const { remaining } = await expectPutOff('no_answer');
    expect(await counters()).toMatchObject({ renewals: 1 });
    await world.advance(remaining - 44);
    await world.settle(broker);
    expect(await counters()).toMatchObject({ renewals: 2 });
  });

  it('has it counted from the first sending, however often it was sent since', async () => {
    await lose({ lost_reply: true, times: 3 });
    for (let count = 0; count < 3; count += 1) {
      await tryOnce(count === 1 ? other : broker);
      await world.advance(GRACE_S / 2 - 1);
    }
    expect(await counters()).toMatchObject({ renewals: 3 });
    await world.settle(broker);
    await expectPutOff('no_answer');
    expect(await counters()).toMatchObject({ renewals: 3 });
  });

  it('is told from one that was not sent at all: what was refused before begins none', async () => {
    await lose({ status: 429 });
    await tryOnce();
    await world.advance(GRACE_S * 3);
    await lose({ lost_reply: true });
    await tryOnce();
    expect(await counters()).toMatchObject({ renewals: 2 });
    await world.advance(GRACE_S / 2);
    await renewed(broker);
    expect(await row()).toMatchObject({ status: 'active', unknown_outcome: null });
  });

  it('tells by the refusal of the probe where the lost answer went', async () => {
    await lose({ lost_reply: true });
    await tryOnce();
    await world.advance(GRACE_S + 1);
    await world.settle(broker);
    await world.advance((await row()).remaining - 44);
    await world.settle(broker);
    expect(await row()).toMatchObject({
      status: 'reauthorization_required',
      status_reason: 'lost_in_flight',
      renew_at: null,
      unanswered_since: null,
    });
    expect(await counters()).toMatchObject({ renewals: 2, reused: 1 });
  });

  it('is sent again when the lease of a killed holder ends within it', async () => {
    await dieAsking();
    await world.advance(21);
    await renewed(other);
    expect(await row()).toMatchObject({ status: 'active', unknown_outcome: null });
  });

  it('is not sent again when a killed holder is found after it', async () => {
    await dieAsking();
    await world.advance(GRACE_S + 1);
    await world.settle(other);
    await expectPutOff('crash');
    expect(await counters()).toMatchObject({ renewals: 1 });
  });

  it('counts as sent long ago where nobody wrote down when', async () => {
    await dieAsking();
    await world.sql('update connections set unanswered_since = null');
    await world.advance(21);
    await world.settle(other);
    await expectPutOff('crash');
    expect(await counters()).toMatchObject({ renewals: 1 });
  });

  it('is not sent by a holder who was ready to while it lasted, and is not any more', async () => {
    await lose({ lost_reply: true });
    await tryOnce();
    await world.advance(GRACE_S - 2);
    const { app } = broker.broker;
    const [first] = await eventually(async () => {
      const { claims } = await app.get(RenewalClaims).due(app.get(ProviderRegistry).get('fynd'), 1);
      return claims.length > 0 && claims;
    });
    if (!first) throw new Error('the connection could not be claimed');
    const claim = { ...first, claimedAt: world.clock.monotonic() - 3_000 };
    await app.get(TokenRenewer).run(claim);
    expect(await counters()).toMatchObject({ renewals: 1 });
    expect(await row()).toMatchObject({ lease_owner: null, unknown_outcome: null });
    await world.advance(3);
    await world.settle(broker);
    await expectPutOff('no_answer');
  });
});
