import { describe, expect, it } from '@jest/globals';
import { ask, eventually, type Answer, type Json } from '../support/http.js';
import { NO_CONNECTIONS, useOperator } from '../support/operator.js';
import { useWorld } from '../support/world.js';

const world = useWorld();
const operator = useOperator(world);
const calls = async (): Promise<number> => Number((await world.simulator.ledger()).counters['calls']);
const fetchToken = (path: string, at = operator.broker): Promise<Answer> =>
  world.api(at, 'GET', `/v1/tokens/${path}`);

describe('the list of providers', () => {
  it('holds every provider that is configured, whether anything is known of it or not', async () => {
    const { status, body } = await world.api(operator.other, 'GET', '/v1/providers');
    expect([status, body['next_cursor']]).toEqual([200, null]);
    for (const name of ['fynd', 'konnect']) {
      expect(await operator.look(name, operator.other)).toEqual({
        name,
        kind: name === 'fynd' ? 'fynd-platform' : 'konnect',
        base_url: world.simulator.url,
        status: 'ok',
        paused_because: null,
        mass_refused_at: null,
        breaker: 'closed',
        left_alone_until: null,
        renewal_dialect: null,
        rotation_observed: null,
        lifetime_observed: null,
        backlog: 0,
        clock_skew: null,
        last_error: null,
        connections: NO_CONNECTIONS,
        rotate_by: null,
      });
    }
  });

  it('counts connections where they are written down as they change, and not in their table', async () => {
    await world.keepKonnect(operator.broker, '91');
    const many = [`insert into connection_tallies values ('konnect', 'active', 1000000)`];
    many.push(`insert into connection_tallies values ('konnect', 'active', -1000000)`);
    for (const [index, text] of many.entries()) {
      await world.sql(text);
      const { connections } = await operator.look('konnect');
      expect(connections).toEqual({ ...NO_CONNECTIONS, active: index === 0 ? 1_000_001 : 1 });
    }
  });

  it('holds none that is disabled, and none that only the database remembers', async () => {
    await world.sql(`insert into provider_states (provider, status) values ('gone', 'misconfigured')`);
    const few = await world.local({ KONNECT_BASE_URL: undefined });
    const { body } = await world.api(few, 'GET', '/v1/providers');
    const names = (body['items'] as Json[]).map(({ name }) => name);
    expect(names).toContain('fynd');
    expect(names).not.toContain('konnect');
    expect(names).not.toContain('gone');
    await few.broker.stop();
  });

  it('is not all that has connections: the start names what is not configured any more', async () => {
    await world.keepKonnect(operator.broker, '90');
    const before = world.logs.length;
    const few = await world.local({ KONNECT_BASE_URL: undefined });
    await few.broker.stop();
    const said = world.logs.slice(before).join('');
    expect(said).toContain(
      'konnect: has connections and is not configured: nothing of it is served or renewed',
    );
    expect(said).not.toContain('fynd: has connections');
  });

  it('counts connections by status, and apart those that are due', async () => {
    for (const companyId of ['1', '2', '3', '4', '5', '6'])
      await world.keepKonnect(operator.broker, companyId);
    await operator.act('konnect', 'pause');
    const set = (companyId: string, change: string): Promise<unknown> =>
      world.sql(`update connections set ${change} where company_id = $1`, [companyId]);
    const due = `renew_at = broker_now() - interval '1 s'`;
    await set('2', `status = 'suspect', ${due}`);
    await set('3', `status = 'reauthorization_required', ${due}`);
    await set('4', `status = 'paused', ${due}`);
    await set('5', `sealed_grant = null, ${due}`);
    await set('6', `status = 'revoked', sealed_grant = null, sealed_token = null, ${due}`);
    await world.install(operator.broker, '1');
    expect(await operator.look('konnect')).toMatchObject({
      backlog: 2,
      connections: { active: 2, suspect: 1, reauthorization_required: 1, paused: 1, revoked: 1 },
    });
    expect(await operator.look('fynd')).toMatchObject({
      backlog: 0,
      connections: { ...NO_CONNECTIONS, active: 1 },
    });
  });
});

describe('a pause of a provider', () => {
  it('holds on every replica, while tokens that live are served', async () => {
    await world.keepKonnect(operator.broker, '42');
    const paused = await operator.act('konnect', 'pause');
    expect([paused.status, paused.body['status'], paused.body['name']]).toEqual([200, 'paused', 'konnect']);
    const before = await calls();

    // Due, and still good for ten minutes.
    await world.advance(3_000);
    await operator.settle();
    for (const at of [operator.broker, operator.other]) {
      const { status, body } = await fetchToken('konnect/companies/42', at);
      expect([status, body['version'], body['stale']]).toEqual([200, 1, false]);
    }
    expect(await operator.look('konnect', operator.other)).toMatchObject({ status: 'paused', backlog: 1 });

    await world.advance(601);
    await operator.settle();
    for (const at of [operator.broker, operator.other]) {
      const { status, headers, body } = await fetchToken('konnect/companies/42', at);
      expect([status, body['code'], body['connection_id']]).toEqual([
        503,
        'provider_unavailable',
        (await operator.row())['id'],
      ]);
      expect(body['detail']).toMatch(/operator/i);
      expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
    const operators = await operator.renewNow();
    expect([operators.status, operators.body['code']]).toEqual([503, 'provider_unavailable']);
    expect(await calls()).toBe(before);
  });

  it('holds back one provider alone', async () => {
    await world.keepKonnect(operator.broker, '42');
    await world.install(operator.broker, '43');
    await operator.act('konnect', 'pause');
    await world.advance(3_601);
    await operator.settle();
    expect(await operator.row('42')).toMatchObject({ token_version: 1 });
    expect(await operator.row('43')).toMatchObject({ token_version: 2 });
  });

  it('refuses a report, and goes on serving others with the token that was reported', async () => {
    await world.keepKonnect(operator.broker, '42');
    await operator.act('konnect', 'pause');
    const path = '/v1/tokens/konnect/companies/42';
    const reported = await world.api(operator.other, 'POST', `${path}/report`, { version: 1, status: 401 });
    expect([reported.status, reported.body['code']]).toEqual([503, 'provider_unavailable']);
    expect((await fetchToken('konnect/companies/42')).body).toMatchObject({ version: 1 });
  });

  it('ends with resume, and what is due is renewed', async () => {
    for (const companyId of ['1', '2', '3']) await world.keepKonnect(operator.broker, companyId);
    await operator.act('konnect', 'pause');
    await world.advance(3_601);
    await operator.settle();
    expect(await operator.look('konnect')).toMatchObject({ backlog: 3 });
    const resumed = await operator.act('konnect', 'resume', operator.other);
    expect([resumed.status, resumed.body['status']]).toEqual([200, 'ok']);
    await eventually(async () => {
      await operator.settle();
      return (await operator.look('konnect'))['backlog'] === 0;
    });
    for (const companyId of ['1', '2', '3']) {
      expect((await fetchToken(`konnect/companies/${companyId}`)).body).toMatchObject({ version: 2 });
    }
  });

  it('and its end may be asked for twice, and the log tells once who did', async () => {
    const before = world.logs.length;
    for (const action of ['pause', 'pause', 'resume', 'resume']) {
      const { status, body } = await operator.act('konnect', action);
      expect([status, body['status']]).toEqual([200, action === 'pause' ? 'paused' : 'ok']);
    }
    const logged = world.logs.slice(before).join('');
    expect(logged.match(/konnect: paused by admin/g)).toHaveLength(1);
    expect(logged.match(/konnect: resumed by admin/g)).toHaveLength(1);
  });

  it('is shown by a replica that is as ready as before', async () => {
    await operator.act('konnect', 'pause');
    const { status, body } = await ask('GET', `${operator.other.api}/health/ready`);
    expect([status, (body['details'] as Json)['providers']]).toEqual([
      200,
      { status: 'degraded', paused: ['konnect'] },
    ]);
  });
});

it.each(['pause', 'resume', 'probe'])('%s of what is not there is refused', async (action) => {
  const answers = await Promise.all(
    ['nobody', 'Gone', '%20', 'a%2Fb', 'x'.repeat(65)].map((name) => operator.act(name, action)),
  );
  expect(answers.map(({ status, body }) => [status, body['code']])).toEqual([
    [404, 'provider_not_found'],
    [404, 'provider_not_found'],
    [400, 'invalid_request'],
    [400, 'invalid_request'],
    [400, 'invalid_request'],
  ]);
  const asked = await world.api(operator.broker, 'POST', `/v1/providers/fynd/${action}?force=true`);
  expect([asked.status, asked.body['code']]).toEqual([400, 'invalid_request']);
});
