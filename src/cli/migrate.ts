import type { Command } from 'commander';
import { Environment } from '../config/environment.js';
import { readDatabaseAddresses } from '../config/database-settings.js';
import { directAddress } from '../database/address.js';
import { migrate } from '../database/migrate.js';
import { runCommand } from './command.js';

/** `npm run migrate`: runs the missing steps and says which. */
export function define(command: Command): void {
  command.action(() =>
    runCommand('the migration failed', async () => {
      const done = await migrate(directAddress(readDatabaseAddresses(new Environment(process.env))));
      return done.length > 0 ? done.map((step) => `migrated: ${step}\n`).join('') : 'nothing to migrate\n';
    }),
  );
}
