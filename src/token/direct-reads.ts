import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { parse } from 'node:querystring';
import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Authentication } from '../clients/authentication.js';
import { CallerLimits } from '../clients/caller-limits.js';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { classOf, type Caller } from '../http/caller.js';
import { Outbox } from '../http/outbox.js';
import { problemMessage } from '../http/problem-answer.js';
import { requestIdOf } from '../http/request-id.js';
import { flat } from '../shared/flat-text.js';
import { ID_IN_PATH, type Subject } from '../shared/ids.js';
import { Problem } from '../shared/problem.js';
import { RequestMetrics, type RouteName } from '../telemetry/request-metrics.js';
import { readTokenQuery, type TokenQuery } from './token-query.js';
import { TracedTokens } from './traced-tokens.js';

/** The resource as permissions name it, which is how a path does, and the parts of it. */
const PATH = new RegExp(
  `^/v1/tokens/((${ID_IN_PATH})/companies/(${ID_IN_PATH})(?:/locations/(${ID_IN_PATH}))?)(?:\\?([^#]{0,500}))?$`,
);
/** As the routes are counted that this stands before. */
const COMPANY: RouteName = { method: 'GET', route: '/v1/tokens/:provider/companies/:companyId' };
const LOCATION: RouteName = { method: 'GET', route: `${COMPANY.route}/locations/:locationId` };
const ALWAYS = ['cache-control', 'no-store', 'content-type', 'application/json; charset=utf-8'];
/** Callers ask for the same lives and scopes again and again. */
const MOST_QUERIES = 1_000;

/** The route that a path of the short way stands for. */
export function routeOfRead(path: string): string {
  return path.includes('/locations/') ? LOCATION.route : COMPANY.route;
}

/** A read that is as it should be, by somebody who is known and may do it. */
interface Read {
  readonly query: TokenQuery;
  /** Milliseconds, of no particular day. */
  readonly begunAt: number;
  readonly subject: Subject;
  readonly resource: string;
  readonly caller: Caller;
}

/**
 * The short way, which most requests take: a known caller reads a token that is in hand, and is answered from the socket
 * itself. All else, and whatever is odd about a request, goes the long way, through the routes, which look at everything
 * anew: by the same rules, so that nobody can tell the ways apart but by the time that they take.
 */
@Injectable()
export class DirectReads {
  /** By their texts. */
  readonly #queriesOfCompanies = new LRUCache<string, TokenQuery>({ max: MOST_QUERIES });
  readonly #queriesOfLocations = new LRUCache<string, TokenQuery>({ max: MOST_QUERIES });
  readonly #outbox = new Outbox();
  readonly #hasProxies: boolean;

  constructor(
    @Inject(SETTINGS) settings: Settings,
    private readonly authentication: Authentication,
    private readonly limits: CallerLimits,
    private readonly tokens: TracedTokens,
    private readonly metrics: RequestMetrics,
  ) {
    this.#hasProxies = settings.trustedProxies.length > 0;
  }

  /** Answers the request, or has it go the long way. */
  serve(request: IncomingMessage, response: ServerResponse, goTheLongWay: () => void): void {
    const read = this.#read(request);
    if (!read) return goTheLongWay();
    const { subject, resource, query, caller } = read;
    try {
      this.limits.count('tokens', caller.id);
    } catch {
      return goTheLongWay();
    }
    try {
      const answer = this.tokens.fetchAtOnce(subject, resource, query.wish, caller);
      if (answer !== undefined) return this.#send(response, read, answer);
    } catch {
      return this.#giveUp(caller, goTheLongWay);
    }
    this.#lookUp(response, read, goTheLongWay);
  }

  /** By itself: functions for what most reads never come to, each of which is given its name when it is made, took a thirtieth of a read. */
  #lookUp(response: ServerResponse, read: Read, goTheLongWay: () => void): void {
    const { subject, query, caller } = read;
    const giveUp = (): void => this.#giveUp(caller, goTheLongWay);
    this.tokens.fetchInHand(subject, query.wish, query.orCompany, caller).then(
      (answer) => (answer === undefined ? giveUp() : this.#send(response, read, answer)),
      (error: unknown) => this.#refuse(response, read, error, giveUp),
    );
  }

  /** Whoever goes the long way is counted there. */
  #giveUp(caller: Caller, goTheLongWay: () => void): void {
    this.limits.giveBack('tokens', caller.id);
    goTheLongWay();
  }

  #read(request: IncomingMessage): Read | undefined {
    const begunAt = performance.now();
    const { method, url = '', headers, socket } = request;
    const [, resource, provider, companyId, locationId = null, text = ''] = PATH.exec(url) ?? [];
    if (method !== 'GET' || resource === undefined) return undefined;
    if (provider === undefined || companyId === undefined) return undefined;
    if (!isPlain(headers) || (this.#hasProxies && headers['x-forwarded-for'] !== undefined)) return undefined;
    const caller = this.authentication.known(headers.authorization ?? '', socket, requestIdOf(request));
    if (!caller?.permits('token:read', resource)) return undefined;
    const query = this.#queryOf(text, locationId !== null);
    return query && { begunAt, subject: { provider, companyId, locationId }, resource, query, caller };
  }

  #send(response: ServerResponse, read: Read, body: string): void {
    this.#count(read, 'ok');
    const headers = ['x-request-id', read.caller.requestId ?? '', ...ALWAYS];
    this.#outbox.put({ response, status: 200, headers, body });
  }

  /** What nobody foresaw is told and logged by the routes. */
  #refuse(response: ServerResponse, read: Read, error: unknown, goTheLongWay: () => void): void {
    if (!(error instanceof Problem)) return goTheLongWay();
    this.#count(read, error.code);
    const { headers, body } = problemMessage(error, read.caller.requestId ?? '');
    this.#outbox.put({ response, status: error.status, headers: Object.entries(headers).flat(), body });
  }

  #count({ subject, caller, begunAt }: Read, outcome: string): void {
    this.metrics.answered(subject.locationId === null ? COMPANY : LOCATION, outcome, classOf(caller));
    this.metrics.fetched(subject.provider, performance.now() - begunAt);
  }

  #queryOf(text: string, isLocation: boolean): TokenQuery | undefined {
    const queries = isLocation ? this.#queriesOfLocations : this.#queriesOfCompanies;
    const known = queries.get(text);
    if (known) return known;
    try {
      const query = readTokenQuery(parse(text, '&', '=', { maxKeys: 0 }), isLocation);
      // By itself: as it stands it would keep the whole path.
      queries.set(flat(text), query);
      return query;
    } catch {
      return undefined;
    }
  }
}

/** Nothing of it has to be looked at but the key: one host, and no body. */
function isPlain(headers: IncomingHttpHeaders): boolean {
  return (
    headers.host !== undefined &&
    headers.expect === undefined &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined
  );
}
