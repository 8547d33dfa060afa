import { describe, expect, it } from '@jest/globals';
import { openSession } from '../support/sessions.js';
import { hint, proveAll } from '../support/uninstalls.js';
import { useWorld } from '../support/world.js';

describe('a company that has uninstalled an extension that is online only', () => {
  const world = useWorld();

  it('has all of its sessions ended, however many there are', async () => {
    const broker = await world.local({ FYND_ACCESS_MODE: 'online' });
    for (let count = 1; count <= 52; count += 1) await openSession(world, broker, { companyId: '42' });
    await openSession(world, broker, { companyId: '43' });
    await world.simulator.uninstall('42');
    await hint(broker, { company_id: '42' });
    await proveAll(world, broker);
    expect(await world.sql('select company_id from online_sessions')).toEqual([{ company_id: '43' }]);
  });
});
