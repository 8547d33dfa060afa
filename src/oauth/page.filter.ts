import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asProblem, sendProblem } from '../http/problem-answer.js';
import { Problem } from '../shared/problem.js';
import { BrowserError } from './browser-error.js';
import { page, PAGE_HEADERS } from '../http/page.js';

/** When a seller may try again where the provider is away. */
const RETRY_AFTER_S = 30;

/** Answers a browser's errors with a page, and a program that asks for JSON with the same as a problem. */
@Catch()
export class PageFilter implements ExceptionFilter {
  readonly #logger = new Logger('Install');

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const problem = error instanceof BrowserError ? problemOf(error) : asProblem(error);
    if (problem.code === 'internal_error') {
      const stack = (error as { stack?: string } | null)?.stack;
      this.#logger.error(`${request.routeOptions.url} ${request.id}`, stack);
    }
    const { retry_after: retryAfter } = problem.extensions;
    if (retryAfter !== undefined) void reply.header('retry-after', String(retryAfter));
    if (/\bjson\b/.test(request.headers.accept ?? '')) return sendProblem(problem, request, reply);
    const shown = error instanceof BrowserError ? error : BrowserError.broken(problem.code);
    void reply
      .status(problem.status)
      .headers(PAGE_HEADERS)
      .send(
        page(
          shown.title,
          shown.text,
          shown.again === null ? null : { href: shown.again, label: 'Begin again' },
        ),
      );
  }
}

function problemOf({ code, text }: BrowserError): Problem {
  return new Problem(code, text, code === 'provider_unavailable' ? { retry_after: RETRY_AFTER_S } : {});
}
