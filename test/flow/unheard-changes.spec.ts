import { expect, it } from '@jest/globals';
import { Notifications } from '../../src/database/notifications.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Cable } from '../support/cable.js';
import type { Answer } from '../support/http.js';
import { useWorld } from '../support/world.js';

const world = useWorld();

it('what a replica changes is known there although it hears nothing', async () => {
  const cable = new Cable(new URL(world.databaseUrl));
  const deaf = await world.local({ DATABASE_DIRECT_URL: await cable.open() });
  await deaf.broker.app.get(RenewalSchedule).stop();
  const { body } = await world.keepKonnect(deaf, '42');
  const { id, key } = await world.client(deaf, 'token:read konnect/**');
  const asks = (as?: string): Promise<Answer> =>
    world.api(deaf, 'GET', '/v1/tokens/konnect/companies/42', undefined, as);
  for (const as of [undefined, key]) expect((await asks(as)).status).toBe(200);
  cable.deafen();
  await world.api(deaf, 'DELETE', `/v1/clients/${id}`);
  expect((await asks(key)).status).toBe(401);
  await world.api(deaf, 'DELETE', `/v1/connections/${String(body['id'])}`);
  expect((await asks()).status).toBe(410);
  // It is the change that was known, and not that the channel is down.
  expect(deaf.broker.app.get(Notifications).isLive()).toBe(true);
  cable.close();
});
