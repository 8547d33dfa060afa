import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asProblem, sendProblem } from './problem-answer.js';

/** The one place where an error becomes an HTTP answer. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger('Http');

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const problem = asProblem(error);
    // The route's template: a URL may hold what does not belong into a log.
    const line = `${request.method} ${request.routeOptions.url ?? '(no route)'} ${problem.status} ${problem.code} ${request.id}`;
    if (problem.code === 'internal_error' && error instanceof Error) this.#logger.error(line, error.stack);
    else this.#logger[problem.logLevel](line);
    sendProblem(problem, request, http.getResponse<FastifyReply>());
  }
}
