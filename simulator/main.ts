import { readEnvironment } from './environment.js';
import { startSimulator } from './simulator.js';

/** As in sysexits.h: something is wrong with the configuration. */
const EXIT_CONFIGURATION = 78;

function complain(line: string): void {
  process.stderr.write(`simulator: ${line}\n`);
}

/** The one line for a listener that could not be opened. */
function listenMistake(error: unknown, host: string, port: number): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (code === 'EADDRINUSE') return `port ${port} is taken; set SIMULATOR_PORT to a free one`;
  return `cannot listen on ${host}:${port} (${code}); check SIMULATOR_HOST and SIMULATOR_PORT`;
}

async function main(): Promise<void> {
  const { settings, mistakes } = readEnvironment(process.env);
  if (mistakes.length > 0) {
    mistakes.forEach(complain);
    process.exit(EXIT_CONFIGURATION);
  }
  const simulator = await startSimulator(settings).catch((error: unknown) => {
    complain(listenMistake(error, settings.host, settings.port));
    process.exit(1);
  });
  const stop = (): void => {
    void simulator.close().finally(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  // A parent that dies without a word must not leave a simulator behind on its port.
  process.once('disconnect', stop);
  process.send?.({ listening: simulator.port });
  process.stdout.write(`simulator: listening on ${simulator.url}\n`);
}

await main();
