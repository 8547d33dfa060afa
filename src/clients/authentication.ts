import { createHash, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Problem } from '../shared/problem.js';
import type { KnownRequest } from './access.js';
import type { Caller } from './caller.js';

const BEARER = /^Bearer ([\x21-\x7e]{1,512})$/i;

/** The holder of ADMIN_KEY may do everything. */
const ADMIN: Caller = { id: 'admin', permits: () => true };

/** Finds out who calls, before the body is read: what nobody vouches for costs next to nothing. */
@Injectable()
export class Authentication {
  #adminHash: Buffer | null = null;

  constructor(@Inject(SETTINGS) settings: Settings) {
    if (!settings.adminKey) return;
    this.#adminHash = hash(settings.adminKey.current.reveal());
    settings.adminKey.onChange((key) => (this.#adminHash = hash(key.reveal())));
  }

  /** Puts itself before every request under `/v1`, those without a route included. */
  guard(fastify: FastifyInstance): void {
    fastify.addHook('onRequest', (request: FastifyRequest, _, done) => {
      const path = request.routeOptions.url ?? request.url;
      if (!path.startsWith('/v1/')) return done();
      const caller = this.#callerOf(request.headers.authorization);
      if (!caller)
        return done(new Problem('unauthenticated', 'Send a valid key as "Authorization: Bearer <key>".'));
      (request as KnownRequest).caller = caller;
      return done();
    });
  }

  #callerOf(authorization: string | undefined): Caller | undefined {
    const key = BEARER.exec(authorization ?? '')?.[1];
    if (key === undefined || !this.#adminHash) return undefined;
    // Hashes are of one length, so that the comparison takes the same time for every key.
    return timingSafeEqual(hash(key), this.#adminHash) ? ADMIN : undefined;
  }
}

function hash(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
