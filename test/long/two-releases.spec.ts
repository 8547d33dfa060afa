import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Balancer } from '../support/balancer.js';
import { eventually, freePort, type Answer, type Json } from '../support/http.js';
import { Load, tally } from '../support/load.js';
import { PreviousRelease } from '../support/previous-release.js';
import type { Replica } from '../support/replica.js';
import { World } from '../support/world.js';

const COMPANIES = Array.from({ length: 30 }, (_, index) => String(index + 1));

describe('the previous release and this one on one database', () => {
  /** Its simulator is not set back in between: the grants go on. */
  const world = new World();
  let release: PreviousRelease;
  let previous: Replica;
  let current: Replica;

  beforeAll(async () => {
    release = PreviousRelease.build();
    await world.open();
    await world.simulator.settings('fynd', { rotation: 'strict' });
    await world.sql('drop schema public cascade; create schema public');
    previous = await start(release.program);
  }, 120_000);
  afterAll(async () => {
    await world.close();
    release?.remove();
  });

  async function start(program?: string): Promise<Replica> {
    const PUBLIC_PORT = String(await freePort());
    const address = { PUBLIC_PORT, PUBLIC_URL: `http://127.0.0.1:${PUBLIC_PORT}` };
    // What a replica of either release renews early or late is no matter here, but that both do.
    return world.replica({ ...address, LOG_LEVEL: 'info' }, program);
  }

  const read = (from: Replica, provider: string, company: string, query = ''): Promise<Answer> =>
    world.api(from, 'GET', `/v1/tokens/${provider}/companies/${company}${query}`);
  const rows = (): Promise<Json[]> => world.sql<Json>('select * from connections order by company_id::int');
  /** Successful calls that brought a token for what was there already. */
  const calls = async (): Promise<Json[]> =>
    (await world.simulator.ledger('?limit=1000')).entries.filter(
      ({ outcome, operation }) => outcome === 'ok' && (operation === 'renew' || operation === 'token'),
    );
  const steps = async (): Promise<number> => (await world.sql('select 1 from migrations')).length;

  it('begins with the schema of the previous one, which the new one migrates without a failed request', async () => {
    for (const company of COMPANIES) await world.keepKonnect(previous, company);
    await world.install(previous, '101');
    const before = await steps();
    const balancer = new Balancer([previous.api]);
    let turn = 0;
    const load = new Load(
      balancer,
      () => `/v1/tokens/konnect/companies/${COMPANIES[(turn += 1) % COMPANIES.length]}`,
      6,
    );
    current = await start();
    const reads = load.outcomes.length;
    await eventually(() => load.outcomes.length > reads + 200);
    await load.stop();
    await balancer.close();
    expect(await steps()).toBeGreaterThan(before);
    expect(tally(load.outcomes)).toEqual({ 200: load.outcomes.length });
  });

  it('serve the tokens that the other one got, and each install', async () => {
    await world.install(current, '102');
    await world.keepKonnect(current, '31');
    for (const replica of [previous, current]) {
      for (const [provider, company] of [
        ['konnect', '1'],
        ['konnect', '31'],
        ['fynd', '101'],
        ['fynd', '102'],
      ] as const) {
        const { status, body } = await read(replica, provider, company);
        expect([provider, company, status, body['version']]).toEqual([provider, company, 200, 1]);
      }
    }
  });

  it('know at once of what the other one has changed', async () => {
    const answers = await Promise.all([previous, current].map((it) => read(it, 'konnect', '2')));
    const [version = 0] = answers.map(({ body }) => body['version'] as number);
    const path = '/v1/tokens/konnect/companies/2/report';
    for (const [index, reporter] of [previous, current].entries()) {
      await world.advance(60);
      const { body } = await world.api(reporter, 'POST', path, { version: version + index, status: 401 });
      expect(body['version']).toBe(version + index + 1);
      for (const replica of [previous, current])
        await eventually(
          async () => (await read(replica, 'konnect', '2')).body['version'] === version + index + 1,
        );
    }
    const { body } = await read(previous, 'konnect', '3');
    expect(
      (await world.api(previous, 'DELETE', `/v1/connections/${String(body['connection_id'])}`)).status,
    ).toBe(200);
    await eventually(async () => (await read(current, 'konnect', '3')).status === 410);
  });

  it('renew what is due, each once, whichever of them claims it', async () => {
    const before = await rows();
    const asked = (await calls()).length;
    await world.advance(3_700);
    await eventually(async () =>
      (await rows()).every(
        ({ status, token_version }, index) =>
          status === 'revoked' || Number(token_version) > Number(before[index]?.['token_version']),
      ),
    );
    const living = (await rows()).filter(({ status }) => status !== 'revoked');
    expect(living.filter(({ status, lease_owner }) => status !== 'active' || lease_owner !== null)).toEqual(
      [],
    );
    expect((await calls()).length - asked).toBe(living.length);
    // A caller who wants more than is left, at either.
    await world.advance(1_500);
    for (const [index, replica] of [previous, current].entries()) {
      const answer = await read(replica, 'fynd', String(101 + index), '?min_ttl=3000');
      expect([answer.status, Number(answer.body['expires_in']) > 2_900]).toEqual([200, true]);
    }
  });

  it('go on when the previous one has stopped in order, and when it comes back', async () => {
    await previous.stop();
    await world.advance(3_700);
    expect((await read(current, 'fynd', '101')).status).toBe(200);
    const again = await start(release.program);
    expect(again.output).not.toMatch(/"level":"error"/);
    expect((await read(again, 'fynd', '101')).status).toBe(200);
    await again.stop();
  });

  it('have sent no refresh token twice', async () => {
    const dead = (await rows()).filter(({ status }) => status !== 'active' && status !== 'revoked');
    expect(dead).toEqual([]);
    const { entries } = await world.simulator.ledger('?operation=renew&limit=500');
    expect(entries.filter(({ reused }) => reused === true)).toEqual([]);
  });
});
