import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { selfSigned } from '../support/certificate.js';
import { CommandLine } from '../support/command-line.js';
import { AnsweringServers } from '../support/examinations.js';
import { eventually, freePort } from '../support/http.js';
import type { Ended } from '../support/replica.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const servers = new AnsweringServers();
let broker: LocalBroker;
let company = 0;

beforeAll(async () => {
  broker = await world.local();
  world.stopTicking(broker);
});
afterAll(() => servers.stop());
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

  it('waits for a broker that is not there, says so once, and names what the key has to be permitted', async () => {
    const args = ['doctor', '--live', 'fynd', '--company', '1', '--yes'];
    const BROKER_URL = `http://127.0.0.1:${await freePort()}`;
    const command = CommandLine.start(args, { BROKER_URL, BROKER_KEY: ADMIN_KEY });
    await eventually(() => command.output.includes('\n'));
    command.kill('SIGTERM');
    expect((await command.ended()).output).toBe(
      'token-broker: waiting for BROKER_URL (ECONNREFUSED), up to 5 minutes\n',
    );
    const { code, output } = await CommandLine.run(args, { BROKER_URL });
    expect([code, output]).toEqual([78, expect.stringMatching(/BROKER_KEY.*provider:admin.*token:read/)]);
  });

  it('ends at once where the certificate or the key is refused, which is not the provider’s fault', async () => {
    const args = ['doctor', '--live', 'fynd', '--company', '1', '--yes'];
    const BROKER_URL = await servers.start((_, response) => response.end(), selfSigned('127.0.0.1'));
    expect(await CommandLine.run(args, { BROKER_URL, BROKER_KEY: ADMIN_KEY })).toEqual({
      code: 1,
      output:
        'token-broker: the trial failed: the certificate of BROKER_URL is not believed (DEPTH_ZERO_SELF_SIGNED_CERT): where its authority is your own, name it in NODE_EXTRA_CA_CERTS\n',
    });
    expect(servers.asked).toEqual([]);
    expect(
      await CommandLine.run(args, { BROKER_URL: broker.api, BROKER_KEY: 'test-secret-unknown' }),
    ).toEqual({
      code: 1,
      output: 'token-broker: the trial failed: BROKER_KEY is refused by BROKER_URL\n',
    });
  }, 20_000);
});
