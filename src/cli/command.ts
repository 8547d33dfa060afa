import { ConfigurationError, EXIT_CONFIGURATION } from '../config/mistakes.js';

/** Runs a command and prints what it says. Ends with 78 where an operator has to correct the configuration, else with 0 or 1. */
export async function runCommand(failure: string, command: () => Promise<string>): Promise<void> {
  try {
    process.stdout.write(await command());
  } catch (error) {
    const isOurs = error instanceof ConfigurationError;
    const lines = isOurs ? error.lines : [`${failure}: ${(error as Error).message}`];
    process.stderr.write(lines.map((line) => `token-broker: ${line}\n`).join(''));
    process.exitCode = isOurs ? EXIT_CONFIGURATION : 1;
  }
}
