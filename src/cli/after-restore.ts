import { Environment } from '../config/environment.js';
import { readDatabaseSettings } from '../config/settings.js';
import { markRestored } from '../database/restored.js';
import { runCommand } from './command.js';

/** `npm run after-restore`: to be run once the database was restored from a backup, before the service is started. */
await runCommand('the database could not be told', async () => {
  const { url, ca } = readDatabaseSettings(new Environment(process.env));
  const marked = await markRestored({ url: () => url.current.reveal(), ca });
  return `${marked} grants are taken to be of unknown outcome, since they may have been renewed after the backup was made\n`;
});
