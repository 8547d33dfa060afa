import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import { redacted } from './redaction.js';
import { currentSpan } from './span.js';
import { currentRequest } from './request-context.js';

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

type JsonLine = ReturnType<ConsoleLogger['getJsonLogObject']>;

/**
 * Nest's own logger: a JSON object a line in production, which names the request on whose behalf something was done, and coloured
 * text for people. Messages carry ids, never secrets; what looks like one is taken out all the same.
 */
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

  protected override getJsonLogObject(
    message: unknown,
    options: Parameters<ConsoleLogger['getJsonLogObject']>[1],
  ): JsonLine {
    const request = currentRequest();
    const line = super.getJsonLogObject(message, options);
    const traceId = currentSpan()?.traceparent.split('-')[1];
    if (traceId !== undefined) Object.assign(line, { trace_id: traceId });
    if (!request) return line;
    const { requestId, method, route } = request;
    return Object.assign(line, { request_id: requestId, method, route });
  }

  protected override stringifyJsonLogObject(line: JsonLine): string {
    return redacted(super.stringifyJsonLogObject(line));
  }

  protected override formatMessage(...parts: Parameters<ConsoleLogger['formatMessage']>): string {
    return redacted(super.formatMessage(...parts));
  }
}
