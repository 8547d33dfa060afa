import { beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { ask, eventually, type Json } from '../support/http.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;

beforeAll(async () => {
  broker = await world.local({ LOG_LEVEL: 'info' });
  world.stopTicking(broker);
  await world.keepKonnect(broker, '42');
  await world.settle(broker);
  // Told once, soon after the start.
  await eventually(() => world.logs.some((line) => line.includes('such replicas fit')));
});

/** All that was logged meanwhile, a JSON object a line. */
async function linesOf(work: () => Promise<unknown>): Promise<Json[]> {
  const before = world.logs.length;
  await work();
  return linesSince(before);
}

function linesSince(before: number): Json[] {
  const text = world.logs.slice(before).join('');
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Json);
}

const get = (path: string, id: string): Promise<unknown> =>
  ask('GET', `${broker.api}${path}`, { authorization: `Bearer ${ADMIN_KEY}`, 'x-request-id': id });

describe('what is logged in production', () => {
  it('is nothing of ordinary reads', async () => {
    const lines = await linesOf(async () => {
      for (const id of ['1', '2']) await get('/v1/tokens/konnect/companies/42', id);
      await get('/v1/tokens/konnect/companies/43', '3');
      await get('/v1/connections', '4');
      await get('/metrics', '5');
    });
    expect(lines).toEqual([]);
  });

  it('names the request and the template of its route, also where its body came late', async () => {
    await world.sql('alter table clients rename to mislaid');
    const lines = await linesOf(() =>
      ask(
        'POST',
        `${broker.api}/v1/clients?`,
        { authorization: `Bearer ${ADMIN_KEY}`, 'x-request-id': 'mine-7' },
        { name: 'one', permissions: [] },
      ),
    );
    await world.sql('alter table mislaid rename to clients');
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'error',
        context: 'Http',
        request_id: 'mine-7',
        method: 'POST',
        route: '/v1/clients',
        message: 'POST /v1/clients 500 internal_error mine-7',
      }),
    ]);
  });

  it('names the request that a renewal was begun for, and nobody where the calendar began it', async () => {
    const refused = { provider: 'konnect', operation: 'token', status: 200, times: 1 };
    const toldOf = async (work: () => Promise<unknown>): Promise<Json> => {
      await world.simulator.fault({ ...refused, body: { status: 'FAILURE' } });
      const before = world.logs.length;
      await work();
      return eventually(() => linesSince(before).find(({ context }) => context === 'Renewal'));
    };
    const asked = await toldOf(async () => {
      await world.advance(3_700);
      await get('/v1/tokens/konnect/companies/42', 'mine-8');
    });
    expect(asked).toMatchObject({ level: 'warn', request_id: 'mine-8' });
    expect(asked).toMatchObject({ route: '/v1/tokens/:provider/companies/:companyId' });
    await world.settle(broker);
    await world.sql(`update connections set status = 'active', refusals = 0, renew_at = broker_now()`);
    const due = await toldOf(() => world.settle(broker));
    expect(due['message']).toContain('suspect');
    expect([due['request_id'], due['route']]).toEqual([undefined, undefined]);
  });

  it('is without what looks like a secret, whoever says it and wherever it stands', () => {
    const secret = 'Zm9vYmFyLXNlY3JldA';
    const logger = new Logger('Anybody');
    const before = world.logs.length;
    logger.error(
      `could not GET https://a.example/token?username=u&password=${secret}`,
      `Error: Bearer ${secret}\n    at x`,
    );
    logger.warn({ asked: { client_secret: secret }, url: `postgres://broker:${secret}@db/broker` });
    const lines = linesSince(before);
    expect(lines).toHaveLength(2);
    expect(JSON.stringify(lines)).not.toContain(secret);
    expect(lines[0]).toMatchObject({
      message: 'could not GET https://a.example/token?username=u&password=[redacted]',
      stack: 'Error: Bearer [redacted]\n    at x',
    });
  });
});
