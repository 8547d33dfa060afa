import type { Command } from 'commander';
import { Environment } from '../config/environment.js';
import { readDatabaseAddresses } from '../config/database-settings.js';
import { directAddress } from '../database/address.js';
import { markRestored } from '../database/restored.js';
import { runCommand } from './command.js';

/** `npm run after-restore`: to be run once the database was restored from a backup, before the service is started. */
export function define(command: Command): void {
  command.action(() =>
    runCommand('the database could not be told', async () => {
      const marked = await markRestored(directAddress(readDatabaseAddresses(new Environment(process.env))));
      return `${marked} grants are taken to be of unknown outcome, since they may have been renewed after the backup was made\n`;
    }),
  );
}
