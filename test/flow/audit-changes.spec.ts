import { beforeAll, describe, expect, it } from '@jest/globals';
import { ConnectionStore } from '../../src/token/connection.store.js';
import { BROKER } from '../../src/shared/actor.js';
import type { Answer, Json } from '../support/http.js';
import { beginSession } from '../support/sessions.js';
import { trailOf } from '../support/trail.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 30_000;

beforeAll(async () => {
  broker = await world.local();
});

const next = (): string => String(++companies);
const act = (method: string, path: string, body?: unknown): Promise<Answer> =>
  world.api(broker, method, `/v1/${path}`, body);

async function rowOf(companyId: string): Promise<Json> {
  const [row] = await world.sql<Json>('select * from connections where company_id = $1', [companyId]);
  return row ?? {};
}

/** What was done to a company's connections, as `actor action outcome reason version`, oldest first. */
async function storyOf(companyId: string): Promise<string[]> {
  const events = await trailOf(world, [broker], `resource like $1 and action <> 'connection:read'`, [
    `%/companies/${companyId}%`,
  ]);
  return events.map(({ actor, action, outcome, reason, ...event }) =>
    [actor, action, outcome, reason, event['token_version'] ?? '-'].join(' '),
  );
}

describe('a change of a connection', () => {
  it('is an event each, by whoever made it: kept, replaced, paused, resumed, renewed and revoked', async () => {
    const company = next();
    const { body } = await world.keepKonnect(broker, company);
    const id = String(body['id']);
    await world.keepKonnect(broker, company);
    await act('POST', `connections/${id}/pause`);
    await act('POST', `connections/${id}/resume`);
    await world.settle(broker);
    await act('DELETE', `connections/${id}`);
    const version = Number((await rowOf(company))['token_version']);
    expect(await storyOf(company)).toEqual([
      'admin connection:write allowed created 1',
      'admin connection:write allowed replaced 2',
      'admin connection:write allowed paused 2',
      'admin connection:write allowed resumed 2',
      'broker connection:renew allowed renewed 3',
      `admin connection:write allowed revoked ${version}`,
    ]);
  });

  it('names the connection, the token, the key and the request', async () => {
    const company = next();
    const { headers, body } = await world.keepKonnect(broker, company);
    const [event] = await trailOf(world, [broker], 'connection_id = $1', [body['id']]);
    expect(event).toMatchObject({
      actor: 'admin',
      key_id: 'admin',
      source_ip: '127.0.0.1',
      request_id: headers.get('x-request-id'),
      resource: `konnect/companies/${company}`,
      token_fingerprint: body['token_fingerprint'],
      count: 1,
    });
  });

  it("that a seller's browser makes is the seller's", async () => {
    const company = next();
    await world.install(broker, company);
    await world.install(broker, company);
    const [event] = await trailOf(world, [broker], `actor = 'seller' and resource = $1`, [
      `fynd/companies/${company}`,
    ]);
    expect(event).toMatchObject({ key_id: null, source_ip: '127.0.0.1', request_id: expect.any(String) });
    expect(await storyOf(company)).toEqual([
      'seller connection:write allowed created 1',
      'seller connection:write allowed replaced 1',
    ]);
  });

  it('that an uninstall makes, and the end of its sessions, are the broker’s own', async () => {
    const company = next();
    await world.install(broker, company);
    await beginSession(world, broker, { companyId: company });
    const connection = await broker.broker.app
      .get(ConnectionStore)
      .findById(String((await rowOf(company))['id']));
    await broker.broker.app
      .get(ConnectionStore)
      .revoke(String(connection?.id), 'uninstalled', () => Promise.resolve('unsupported'), BROKER);
    const story = await storyOf(company);
    expect(story.at(-1)).toBe('broker connection:write allowed uninstalled 1');
    expect(story).toContain('broker token:read-session allowed opened 1');
    expect(story).toContain('admin token:read-session allowed traded 1');
  });

  it('stands in the trail with a link that was made, a proof that was refused, and a token that was suspected', async () => {
    const company = next();
    await act('POST', `connections/fynd/companies/${company}/authorize-link`);
    const wrong = { username: 'u', password: 'wrong-test-secret' };
    expect((await act('PUT', `connections/konnect/companies/${company}`, wrong)).status).toBe(422);
    const made = { token: 'test-secret-portal', token_type: 'service' };
    await act('PUT', `connections/portal/companies/${company}`, made);
    await act('POST', `tokens/portal/companies/${company}/report`, { version: 1, status: 401 });
    expect(await storyOf(company)).toEqual([
      'admin connection:write allowed link_made -',
      'admin connection:write failed credential_rejected -',
      'admin connection:write allowed created 1',
      'admin token:report allowed suspect 1',
      'admin token:report allowed  1',
    ]);
  });

  it('of a portal’s token is its end, too', async () => {
    const company = next();
    const expires_at = new Date(world.clock.now().getTime() + 60_000).toISOString();
    const made = { token: 'test-secret-short', token_type: 'service', expires_at };
    await act('PUT', `connections/portal/companies/${company}`, made);
    await world.advance(61);
    await world.settle(broker);
    expect((await storyOf(company)).at(-1)).toBe('broker connection:write allowed expired 1');
  });
});

describe('a renewal', () => {
  it('is the broker’s, whether the calendar, a caller or a report wanted it', async () => {
    const company = next();
    await world.install(broker, company);
    await world.advance(3_000);
    await world.settle(broker);
    await act('POST', `tokens/fynd/companies/${company}/report`, { version: 2, status: 401 });
    const { id } = await rowOf(company);
    await act('POST', `connections/${String(id)}/renew`);
    const story = (await storyOf(company)).filter((line) => line.startsWith('broker'));
    expect(story).toEqual([2, 3, 4].map((version) => `broker connection:renew allowed renewed ${version}`));
    const [last] = (await trailOf(world, [], `actor = 'broker' and connection_id = $1`, [id])).slice(-1);
    expect(last?.['token_fingerprint']).toBe((await rowOf(company))['token_fingerprint']);
  });

  it('that fails is one only where it changes the status', async () => {
    const company = next();
    await world.install(broker, company);
    const { id } = await rowOf(company);
    await world.simulator.fault({ provider: 'fynd', operation: 'renew', status: 429, times: 1 });
    await act('POST', `connections/${String(id)}/renew`);
    expect((await rowOf(company))['last_error']).toBe('rate_limited');
    const ofBroker = async (): Promise<string[]> =>
      (await storyOf(company)).filter((line) => line.startsWith('broker'));
    expect(await ofBroker()).toEqual([]);
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      status: 400,
      body: { error: 'invalid_grant' },
      times: 1,
    });
    await world.sql(`update provider_states set closed_until = null, failures = 0`);
    await act('POST', `connections/${String(id)}/renew`);
    expect(await ofBroker()).toEqual(['broker connection:renew failed invalid_grant 1']);
  });
});

describe('a change of a provider', () => {
  it('is an event on all that is below it', async () => {
    await act('POST', 'providers/konnect/pause');
    await act('POST', 'providers/konnect/resume');
    await act('POST', 'providers/konnect/revive', { since: '2020-01-01T00:00:00Z' });
    const events = await trailOf(world, [broker], `resource = 'konnect/**'`);
    expect(events.map(({ actor, action, reason }) => [actor, action, reason])).toEqual([
      ['admin', 'provider:admin', 'paused'],
      ['admin', 'provider:admin', 'resumed'],
      ['admin', 'provider:admin', 'revived'],
    ]);
  });

  it('that refuses the broker’s registration is one, and so is its recovery', async () => {
    const company = next();
    const other = await world.local({ FYND_API_SECRET: 'test-secret-wrong' });
    await world.install(broker, company);
    const { id } = await rowOf(company);
    await world.api(other, 'POST', `/v1/connections/${String(id)}/renew`);
    await world.sql(`update provider_states set closed_until = null, probe_at = broker_now()`);
    await act('POST', `providers/fynd/probe`);
    const events = await trailOf(world, [broker], `resource = 'fynd/**' and actor = 'broker'`);
    expect(events.map(({ reason }) => reason)).toEqual(['misconfigured', 'recovered']);
    expect([API_KEY, API_SECRET].every((text) => !JSON.stringify(events).includes(text))).toBe(true);
  });
});

describe('the transaction of a change', () => {
  it('has its event: where the trail cannot be written, nothing is changed', async () => {
    const company = next();
    const { body } = await world.keepKonnect(broker, company);
    const id = String(body['id']);
    const before = await rowOf(company);
    await world.sql(
      `alter table audit_events add constraint broken check (action <> 'connection:write') not valid`,
    );
    try {
      for (const [method, path] of [
        ['POST', `connections/${id}/pause`],
        ['DELETE', `connections/${id}`],
        ['PUT', `connections/portal/companies/${company}`],
      ] as const) {
        const made = method === 'PUT' ? { token: 'test-secret-x', token_type: 'service' } : undefined;
        expect([path, (await act(method, path, made)).status]).toEqual([path, 500]);
      }
    } finally {
      await world.sql('alter table audit_events drop constraint broken');
    }
    expect(await rowOf(company)).toEqual(before);
    expect(await storyOf(company)).toEqual([
      'admin connection:write allowed created 1',
      // Of the connection, and of the credential that was to be one.
      'admin connection:write failed internal_error -',
      'admin connection:write failed internal_error -',
    ]);
  });

  it('leaves no event where it comes to nothing', async () => {
    const company = next();
    await world.keepKonnect(broker, company);
    // Found out with the commit, when the event has been written.
    await world.sql(`
      create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
      create constraint trigger refuse after update on connections deferrable initially deferred
        for each row execute function refuse()`);
    try {
      expect((await act('POST', `connections/${String((await rowOf(company))['id'])}/pause`)).status).toBe(
        500,
      );
    } finally {
      await world.sql('drop function refuse cascade');
    }
    expect(await storyOf(company)).toEqual([
      'admin connection:write allowed created 1',
      'admin connection:write failed internal_error -',
    ]);
  });

  it('of a renewal has it, too', async () => {
    const company = next();
    await world.install(broker, company);
    const before = await rowOf(company);
    await world.sql(
      `alter table audit_events add constraint broken check (action <> 'connection:renew') not valid`,
    );
    try {
      await act('POST', `connections/${String(before['id'])}/renew`);
    } finally {
      await world.sql('alter table audit_events drop constraint broken');
    }
    expect((await rowOf(company))['token_version']).toBe(before['token_version']);
  });
});
