import type { ServerResponse } from 'node:http';
import { Problem } from '../shared/problem.js';
import { isBrowserRoute, type Answering, type Listener } from './listeners.js';
import { page, PAGE_HEADERS } from './page.js';
import { problemMessage } from './problem-answer.js';
import { requestIdOf } from './request-id.js';

const RETRY_AFTER_S = 5;
const STARTING_PAGE = page(
  'This has just been started',
  'Nothing was changed. Load this page again in a minute.',
  null,
);

/**
 * What is answered while the start waits for the database, when there are no routes yet: that the process lives, what it
 * waits for, and to everybody else to come again.
 */
export class WaitingRoom {
  #why = '';

  /** @param why what the start waits for, for people; never a secret */
  waitFor(why: string): void {
    this.#why = why;
  }

  readonly answer: Answering = (listener, request, response) => {
    const [path = '/'] = (request.url ?? '/').split('?');
    request.resume();
    if (listener === 'public' && request.method === 'GET' && isBrowserRoute(path)) return sendPage(response);
    if (listener !== 'public' && path === '/health/live') return send(response, 200, JSON_HEADERS, ALIVE);
    const problem = this.#problemAt(listener, path);
    const { headers, body } = problemMessage(problem, requestIdOf(request));
    send(response, problem.status, headers, body);
  };

  #problemAt(listener: Listener, path: string): Problem {
    if (isBrowserRoute(path) !== (listener === 'public')) return nothingHere();
    if (path === '/health/ready' || path === '/health/startup') {
      return new Problem('not_ready', `database: unreachable; ${this.#why}`, {
        retry_after: RETRY_AFTER_S,
        checks: { process: 'up', database: 'unreachable' },
      });
    }
    if (listener === 'ops' && path !== '/metrics') return nothingHere();
    return new Problem('store_unavailable', 'The broker waits for its database; try again shortly.', {
      retry_after: RETRY_AFTER_S,
    });
  }
}

const ALIVE = JSON.stringify({ status: 'ok' });
const JSON_HEADERS = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };

function nothingHere(): Problem {
  return new Problem('not_found', 'There is nothing at this path.');
}

function sendPage(response: ServerResponse): void {
  const headers = { ...PAGE_HEADERS, 'cache-control': 'no-store', 'retry-after': String(RETRY_AFTER_S) };
  send(response, 503, headers, STARTING_PAGE);
}

/** Every answer ends its connection: the next request may find the routes there, or another replica. */
function send(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): void {
  response.writeHead(status, { ...headers, connection: 'close' }).end(body);
}
