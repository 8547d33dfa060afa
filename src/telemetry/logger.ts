import { ConsoleLogger, type LogLevel } from '@nestjs/common';

const LEVELS: Readonly<Record<string, LogLevel[]>> = {
  debug: ['fatal', 'error', 'warn', 'log', 'debug'],
  info: ['fatal', 'error', 'warn', 'log'],
  warn: ['fatal', 'error', 'warn'],
  error: ['fatal', 'error'],
};

/** What Nest tells of its own start: of use to whoever works on the wiring, noise to everybody else. */
const FRAMEWORK = new Set([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
]);

/** Nest's own logger: a JSON object a line in production, coloured text for people. Messages carry ids, never secrets. */
export class BrokerLogger extends ConsoleLogger {
  constructor(
    private readonly level: string,
    json: boolean,
  ) {
    super({ json, logLevels: LEVELS[level] ?? [], colors: !json, prefix: 'token-broker' });
  }

  override log(message: unknown, ...rest: unknown[]): void {
    if (this.level !== 'debug' && FRAMEWORK.has(String(rest.at(-1)))) return;
    super.log(message, ...rest);
  }

  override error(message: unknown, ...rest: unknown[]): void {
    // What ends the start is thrown on to main.ts, which tells it once.
    if (rest.at(-1) === 'ExceptionHandler') return;
    super.error(message, ...rest);
  }
}
