import { connect } from 'node:net';
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, type Answer, type Json } from '../support/http.js';
import { trailOf } from '../support/trail.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 40_000;

beforeAll(async () => {
  broker = await world.local();
});

/** A new minute, so that nothing is folded into what another test has done. */
beforeEach(() => world.advance(60));

const next = (): string => String(++companies);
const act = (method: string, path: string, body?: unknown): Promise<Answer> =>
  world.api(broker, method, `/v1/${path}`, body);
const since = async (): Promise<Date> =>
  (await world.sql<{ now: Date }>('select broker_now() as now'))[0]?.now ?? new Date();

describe('a request that was to change something and left no event by itself', () => {
  it('names the connection that it was about', async () => {
    const company = next();
    const { body } = await world.keepKonnect(broker, company);
    const id = String(body['id']);
    for (const verb of ['pause', 'pause', 'renew', 'resume', 'renew'])
      await act('POST', `connections/${id}/${verb}`);
    const events = await trailOf(world, [broker], `connection_id = $1 and actor = 'admin'`, [id]);
    expect(
      events.map(({ action, outcome, resource, reason }) => [action, outcome, resource, reason].join(' ')),
    ).toEqual(
      [
        'connection:write allowed created',
        'connection:write allowed paused',
        'connection:write allowed requested',
        'connection:renew failed connection_paused',
        'connection:write allowed resumed',
        'connection:renew allowed requested',
      ].map((line) => line.replace(/ (?=\w+$)/, ` konnect/companies/${company} `)),
    );
  });

  it('names the provider that it was about, but none that does not exist', async () => {
    const from = await since();
    for (const path of ['portal/resume', 'portal/probe', 'nowhere/probe', 'no$where/resume'])
      await act('POST', `providers/${path}`);
    const events = await trailOf(world, [broker], `action = 'provider:admin' and at >= $1`, [from]);
    expect(events.map(({ resource, reason, count }) => [resource, reason, count])).toEqual([
      ['portal/**', 'requested', 2],
      ['**', 'provider_not_found', 1],
      ['**', 'invalid_request', 1],
    ]);
  });
});

describe('a caller that hangs up before it is answered', () => {
  it('leaves a trace all the same', async () => {
    const { body } = await world.keepKonnect(broker, next());
    const inFlight = async (): Promise<unknown> =>
      (await world.simulator.ledger('?limit=0')).counters['in_flight'];
    await world.simulator.fault({ provider: 'konnect', operation: 'token', delay_ms: 500, times: 1 });
    const socket = connect(Number(new URL(broker.api).port), '127.0.0.1');
    socket.write(
      `POST /v1/connections/${String(body['id'])}/renew HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer ${ADMIN_KEY}\r\n\r\n`,
    );
    await eventually(async () => (await inFlight()) === 1);
    socket.destroy();
    await eventually(async () => (await inFlight()) === 0);
    await eventually(async () => {
      const events = await trailOf(
        world,
        [broker],
        `connection_id = $1 and actor = 'admin' and action = 'connection:renew'`,
        [body['id']],
      );
      return events.length === 1;
    });
  });
});

describe('a caller that lacks a permission more than 600 times a minute', () => {
  it('is answered 429 from then on, and leaves no more events', async () => {
    const { id, key } = await world.client(broker, 'token:read konnect/companies/1');
    const attempt = async (method: string, path: string): Promise<unknown> =>
      (await world.api(broker, method, `/v1/${path}`, undefined, key)).body['code'];
    const codes: unknown[] = [];
    for (let sent = 0; sent < 620; sent += 20)
      codes.push(
        ...(await Promise.all(
          Array.from({ length: 20 }, (_, n) =>
            n % 2
              ? attempt('POST', 'providers/konnect/probe')
              : attempt('GET', `tokens/konnect/companies/${n}`),
          ),
        )),
      );
    expect(codes).toEqual([
      ...Array.from({ length: 600 }, () => 'forbidden'),
      ...Array.from({ length: 20 }, () => 'rate_limited'),
    ]);
    const events = await trailOf(world, [broker], 'actor = $1', [id]);
    expect([events.length, new Set(events.map(({ outcome }) => outcome))]).toEqual([
      600,
      new Set(['denied']),
    ]);
    // What it may is not refused for that.
    expect(await attempt('GET', 'tokens/konnect/companies/1')).toBe('connection_not_found');
  });
});

describe('the admin key', () => {
  it('leaves a trace of each use: what wrote no event of its own is noted by its route, and folded', async () => {
    const from = await since();
    for (let round = 0; round < 3; round += 1) await act('GET', 'connections');
    await act('GET', 'providers');
    await act('GET', 'connections/00000000-0000-4000-8000-000000000000');
    await act('PUT', 'connections/konnect/companies/1', '{"broken');
    const events = await trailOf(world, [broker], `actor = 'admin' and at >= $1`, [from]);
    const shown = events.map(({ action, outcome, resource, reason, count }) =>
      [action, outcome, resource, reason, count].join(' '),
    );
    expect(shown.sort()).toEqual([
      'connection:read allowed ** requested 3',
      'connection:read failed ** connection_not_found 1',
      'connection:write failed konnect/companies/1 invalid_request 1',
      'provider:admin allowed ** requested 1',
    ]);
  });

  it('leaves one also where there is no route, of no single action', async () => {
    const from = await since();
    for (const [method, path] of [
      ['GET', 'nothing/here'],
      ['GET', 'providers?what'],
      ['POST', 'tokens'],
    ] as const)
      await act(method, path);
    const events = await trailOf(world, [broker], `actor = 'admin' and at >= $1`, [from]);
    expect(
      events.map(({ action, outcome, resource, reason, count }) => [
        action,
        outcome,
        resource,
        reason,
        count,
      ]),
    ).toEqual([
      ['*', 'failed', '**', 'not_found', 2],
      ['provider:admin', 'failed', '**', 'invalid_request', 1],
    ]);
    const { body } = await act('GET', `audit-events?action=*&limit=1`);
    expect((body['items'] as Json[])[0]).toMatchObject({ action: '*', actor: 'admin' });
  });

  it('is not noted twice for what left an event', async () => {
    const company = next();
    const { headers } = await world.keepKonnect(broker, company);
    const events = await trailOf(world, [broker], 'request_id = $1', [headers.get('x-request-id')]);
    expect(events).toHaveLength(1);
  });
});
