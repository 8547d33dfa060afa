import { Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { notesOf, type KnownRequest } from '../http/access.js';
import { resourceOf } from '../http/caller.js';
import { EVERYTHING } from '../shared/permission.js';
import { Metrics } from '../telemetry/metrics.js';
import { AuditBuffer } from './audit-buffer.js';
import { foundBy, isTraced } from './audit-event.js';

/** The holder of ADMIN_KEY, every one of whose requests leaves a trace. */
const ADMIN = 'admin';

/** Notes what no part of the broker has noted by itself: each use of the admin key, what was to change something, what was denied. */
@Injectable()
export class RequestTrace {
  constructor(
    private readonly buffer: AuditBuffer,
    private readonly metrics: Metrics,
  ) {}

  /** Puts itself before every answer. */
  watch(fastify: FastifyInstance): void {
    // Not onResponse, which never comes where the caller has hung up.
    fastify.addHook('onSend', (request: FastifyRequest, reply: FastifyReply, payload, done) => {
      if (reply.statusCode === 401) this.metrics.refusedUnauthenticated();
      this.#note(request, reply.statusCode);
      done(null, payload);
    });
  }

  #note(request: KnownRequest, status: number): void {
    const { caller, subject, method, problem } = request;
    if (!caller || isTraced(caller)) return;
    const isAdmin = caller.id === ADMIN;
    const { requires, requiresOnFound } = notesOf(request);
    const action = requires?.[0] ?? requiresOnFound ?? (isAdmin ? '*' : undefined);
    // What has no route does nothing in anybody's name; whoever has the admin key is watched all the same.
    if (!action) return;
    const isReading = method === 'GET' || method === 'HEAD';
    if (!isAdmin && isReading && status !== 403) return;
    // It came to nothing, and comes as often as its sender likes: the metric counts it.
    if (!isAdmin && problem === 'rate_limited') return;
    const found = foundBy(caller);
    // Where no such provider is configured, its name is a text from outside.
    const asked = problem === 'provider_not_found' ? EVERYTHING : resourceOf(subject);
    this.buffer.noteAnswered({
      actor: caller,
      action,
      outcome: status < 400 ? 'allowed' : status === 403 ? 'denied' : 'failed',
      resource: found?.resource ?? asked,
      // The id in a path may be made up, and made-up ones would fold into nothing.
      connectionId: found?.connectionId ?? null,
      reason: problem ?? 'requested',
    });
  }
}
