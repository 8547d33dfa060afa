import { Environment } from '../config/environment.js';
import { readDatabaseSettings } from '../config/settings.js';
import { migrate } from '../database/migrate.js';
import { runCommand } from './command.js';

/** `npm run migrate`: runs the missing steps and says which. */
await runCommand('the migration failed', async () => {
  const { url, ca } = readDatabaseSettings(new Environment(process.env));
  const done = await migrate({ url: () => url.current.reveal(), ca });
  return done.length > 0 ? done.map((step) => `migrated: ${step}\n`).join('') : 'nothing to migrate\n';
});
