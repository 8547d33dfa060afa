import { expect, it } from '@jest/globals';
import { Client } from 'pg';
import { migrate } from '../../src/database/migrate.js';
import { eventually } from '../support/http.js';
import { useWorld } from '../support/world.js';

const world = useWorld();

it('a step that somebody keeps from its lock has nobody wait behind it for long, and comes again until it is done', async () => {
  const NAME = 'overview-indexes1795325050000';
  await world.sql('drop index connections_by_rotation');
  await world.sql('delete from migrations where name = $1', [NAME]);
  const other = new Client({ connectionString: world.databaseUrl });
  await other.connect();
  try {
    await other.query('begin');
    await other.query('lock table connections in row exclusive mode');
    const migrated = migrate({ url: () => world.databaseUrl, ca: null });
    const isWaiting = async (): Promise<boolean> =>
      (await world.sql(`select 1 from pg_locks where not granted and relation = 'connections'::regclass`))
        .length > 0;
    await eventually(isWaiting);
    // It gives up, with whoever came after it let through, and waits anew.
    await world.sql(`update connections set status = 'active'`);
    await eventually(isWaiting);
    await other.query('rollback');
    expect(await migrated).toEqual([NAME]);
  } finally {
    await other.end();
  }
});
