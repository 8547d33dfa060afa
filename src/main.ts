import 'reflect-metadata';
import { startBroker, type Broker } from './broker.js';
import { Environment } from './config/environment.js';
import { ConfigurationError, EXIT_CONFIGURATION } from './config/mistakes.js';
import { readSettings, type Settings } from './config/settings.js';
import { redacted } from './telemetry/redaction.js';
import type { Surroundings } from './development/surroundings.js';

/** An error that is an operator's to mend is one clear line each; anything else is ours and keeps its stack. */
function fail(error: unknown): number {
  if (error instanceof ConfigurationError) {
    process.stderr.write(error.lines.map((line) => `token-broker: ${line}\n`).join(''));
    return EXIT_CONFIGURATION;
  }
  const { name = '', message = '', stack = '' } = error as Error;
  const isClear = name === 'ListenError' || name === 'SurroundingsError';
  process.stderr.write(redacted(`token-broker: ${isClear ? message : stack || String(error)}\n`));
  return 1;
}

function announce(settings: Settings, broker: Broker): void {
  for (const line of settings.warnings) process.stderr.write(`token-broker: ${line}\n`);
  const open = (['internal', 'public', 'ops'] as const).filter((it) => broker.portOf(it) !== undefined);
  const doors = open.map((listener) => `${listener} ${settings.host}:${broker.portOf(listener)}`);
  process.stdout.write(`token-broker: listening: ${doors.join(', ')}\n`);
}

async function run(): Promise<void> {
  let surroundings: Surroundings | undefined;
  let broker: Broker | undefined;
  let stopping = false;
  const stop = async (code: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    await broker?.stop().catch((error: unknown) => (code = fail(error)));
    await surroundings?.stop();
    process.exit(code);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void stop(0));

  try {
    if (process.env['NODE_ENV'] === 'development') {
      // Loaded in development only: nothing in production starts a database or makes a key.
      surroundings = await (await import('./development/surroundings.js')).startSurroundings(process.env);
    }
    const settings = readSettings(new Environment(surroundings?.environment ?? process.env));
    broker = await startBroker(settings);
    announce(settings, broker);
    const url = (port: number | undefined): string => (port === undefined ? '' : `http://127.0.0.1:${port}`);
    await surroundings?.welcome({
      internal: url(broker.portOf('internal')),
      public: url(broker.portOf('public')),
    });
  } catch (error) {
    await stop(fail(error));
  }
}

await run();
