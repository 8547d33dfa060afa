import { Command } from 'commander';

/** What a command's module has to offer: it says what the command takes, and what it does. */
interface CommandModule {
  define(command: Command): void;
}

/** All commands. A module is loaded only where its command is named, so that each starts as fast as if it were alone. */
const COMMANDS: Record<string, { readonly summary: string; readonly load: () => Promise<CommandModule> }> = {
  migrate: {
    summary: 'run the migrations that the database lacks',
    load: () => import('./migrate.js'),
  },
  'after-restore': {
    summary: 'tell a database that it was restored from a backup, before the service is started',
    load: () => import('./after-restore.js'),
  },
  import: {
    summary: 'have the broker keep grants and credentials that another system has',
    load: () => import('./import.js'),
  },
  doctor: {
    summary: 'tell what is wrong with the configuration and what it leads to, and what to do',
    load: () => import('./doctor.js'),
  },
  keys: {
    summary: 'show, rotate, wrap anew and destroy the keys that seal what is in the database',
    load: () => import('./keys.js'),
  },
};

const program = new Command('token-broker')
  .description('What an operator runs beside the service. Settings come from the same variables as its own.')
  .helpCommand(true)
  .configureOutput({
    outputError: (text, write) => write(text.replace(/^(error: )?/, 'token-broker: ')),
  });

for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
  const command = program.command(name).description(summary);
  if (process.argv.includes(name)) (await load()).define(command);
}

await program.parseAsync();
