import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CommandLine } from '../support/command-line.js';
import type { Ended } from '../support/replica.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let company = 0;

beforeAll(async () => {
  broker = await world.local();
  world.stopTicking(broker);
});
beforeEach(async () => {
  company += 1;
  // Nothing is known yet of any provider.
  await world.sql('truncate connections, provider_states');
});

async function live(provider: string, ...args: string[]): Promise<Ended> {
  const command = ['doctor', '--live', provider, '--company', String(company), '--yes', ...args];
  const ended = await CommandLine.run(command, { BROKER_URL: broker.api, BROKER_KEY: ADMIN_KEY });
  world.logs.push(ended.output);
  return ended;
}

describe('a trial of a live provider', () => {
  it.each([
    ['none', 'document', 'none'],
    ['grace', 'library', 'strict'],
    ['strict', 'library', 'strict'],
  ])(
    'finds out that Fynd’s refresh tokens are of rotation %s, in the %s dialect',
    async (rotation, dialect, written) => {
      await world.simulator.settings('fynd', { rotation, dialects: [dialect], token_ttl: 1_800 });
      await world.install(broker, String(company));
      const { code, output } = await live('fynd');
      expect([code, output]).toEqual([
        0,
        expect.stringContaining(`providers:\n  fynd:\n    renewal: ${dialect}\n    rotation: ${written}\n`),
      ]);
      expect(output).toContain('Its tokens live 1800 s, as it says.');
      expect(output).toContain('The token before stays good');
      const { counters } = await world.simulator.ledger(
        `?provider=fynd&operation=renew&company_id=${company}`,
      );
      expect(counters['reused']).toBe(0);
      const { body } = await world.api(broker, 'GET', `/v1/tokens/fynd/companies/${company}`);
      expect((await world.simulator.introspect(body['access_token']))['active']).toBe(true);
    },
  );

  it.each([
    [true, 'A new token ends the one before'],
    [false, 'The token before stays good'],
  ])('finds out whether minting anew ends the token before: %s', async (kills_previous, words) => {
    await world.simulator.settings('konnect', { kills_previous });
    await world.keepKonnect(broker, String(company));
    const { code, output } = await live('konnect', '--probe', '/aggregator/v1/resource');
    expect([code, output]).toEqual([0, expect.stringContaining(words)]);
    expect(output).toContain('It does not say how long its tokens live');
    expect((await live('konnect')).output).toContain('was not seen: name a path');
  });

  it('is made only where it is meant, of a connection that is there', async () => {
    const args = ['doctor', '--live', 'fynd', '--company', String(company)];
    const env = { BROKER_URL: broker.api, BROKER_KEY: ADMIN_KEY };
    expect(await CommandLine.run(args, env)).toMatchObject({
      code: 1,
      output: expect.stringContaining('nothing was done: say --yes'),
    });
    expect(await live('fynd')).toMatchObject({
      code: 1,
      output: expect.stringContaining('connect it first'),
    });
    expect(await live('nobody')).toMatchObject({
      code: 1,
      output: expect.stringContaining('no provider "nobody"'),
    });
    await world.keepKonnect(broker, String(company));
    expect(await live('konnect', '--probe', '//elsewhere.example/')).toMatchObject({ code: 0 });
    expect((await CommandLine.run(args.slice(0, 3), env)).code).toBe(78);
    await world.simulator.fault({ provider: 'konnect', status: 503 });
    expect(await live('konnect')).toMatchObject({
      code: 1,
      output: expect.stringContaining('the renewal failed (server_error)'),
    });
  });
});
