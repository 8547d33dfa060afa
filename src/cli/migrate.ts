import { Environment } from '../config/environment.js';
import { ConfigurationError, EXIT_CONFIGURATION } from '../config/mistakes.js';
import { readDatabaseSettings } from '../config/settings.js';
import { migrate } from '../database/migrate.js';

/** `npm run migrate`: runs the missing steps and says which. */
async function run(): Promise<number> {
  const { url, ca } = readDatabaseSettings(new Environment(process.env));
  const done = await migrate({ url: () => url.current.reveal(), ca });
  process.stdout.write(
    done.length > 0 ? done.map((step) => `migrated: ${step}\n`).join('') : 'nothing to migrate\n',
  );
  return 0;
}

try {
  process.exitCode = await run();
} catch (error) {
  const isOurs = error instanceof ConfigurationError;
  const lines = isOurs ? error.lines : [`the migration failed: ${(error as Error).message}`];
  process.stderr.write(lines.map((line) => `token-broker: ${line}\n`).join(''));
  process.exitCode = isOurs ? EXIT_CONFIGURATION : 1;
}
