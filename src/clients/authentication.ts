import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { KnownRequest } from '../http/access.js';
import type { Caller } from '../http/caller.js';
import { Problem } from '../shared/problem.js';
import { AddressLimit, tooManyUnknown } from './address-limit.js';
import { ADMIN, AdminKey } from './admin-key.js';
import { ClientDirectory, type KnownClient } from './client-directory.js';
import { CredentialLookUps } from './credential-look-ups.js';
import { keepProven, provenOn } from './proven-headers.js';
import { RequestCaller } from './request-caller.js';
import { hashOf, keyIdOf } from './service-key.js';
import { WorkloadIdentity } from './workload-identity.js';

/** A token of a workload is longer than a key, and bounded by what a request's headers may hold. */
export const BEARER = /^Bearer ([\x21-\x7e]{1,16384})$/i;

/** For so long a stranger waits who has sent too many credentials, in milliseconds, and so many at once. */
const HOLD_UP_MS = 250;
const MOST_HELD_UP = 1_000;

/** Finds out who calls, before the body is read: what nobody vouches for costs next to nothing. */
@Injectable()
export class Authentication {
  #heldUp = 0;

  constructor(
    private readonly admin: AdminKey,
    private readonly directory: ClientDirectory,
    private readonly workloads: WorkloadIdentity,
    private readonly addresses: AddressLimit,
    private readonly lookUps: CredentialLookUps,
  ) {}

  /** Puts itself before every request under `/v1`, those without a route included, and before who signs in with a browser. */
  guard(fastify: FastifyInstance): void {
    fastify.addHook('onRequest', (request: FastifyRequest, _, done) => {
      const path = request.routeOptions.url ?? request.url;
      if (!path.startsWith('/v1/') && !signsIn(request)) return done();
      // By a session.
      if ((request as KnownRequest).caller) return done();
      const credential = BEARER.exec(request.headers.authorization ?? '')?.[1] ?? '';
      const hash = hashOf(credential);
      const client = this.#recognise(credential, hash);
      if (client) return admit(request, client, done);
      if (client === null || this.lookUps.isRefused(hash)) return this.#refuse(request, done);
      // Only what this replica does not know yet has to wait.
      this.#lookUp(credential, hash, request.ip).then(
        (found) => admit(request, found, done),
        (error: unknown) => done(error as Error),
      );
    });
  }

  /** Whoever sends this header, where that is known here already; undefined for everybody else. */
  known(authorization: string, socket: Socket, requestId: string): Caller | undefined {
    const proven = provenOn(socket, authorization);
    const client = (proven && this.directory.still(proven)) ?? this.#prove(authorization, socket);
    return client ? new RequestCaller(client, { ip: socket.remoteAddress, id: requestId }) : undefined;
  }

  #prove(authorization: string, socket: Socket): KnownClient | null | undefined {
    const credential = BEARER.exec(authorization)?.[1];
    if (credential === undefined) return undefined;
    const client = this.#recognise(credential, hashOf(credential));
    // What an operator or a platform replaces is proven each time.
    if (client && client !== ADMIN && client.keyId !== null) keepProven(socket, authorization, client);
    return client;
  }

  /** What can be nobody's is not looked up, and uses up nothing; where too many were tried already, it is answered late, too. */
  #refuse(request: FastifyRequest, done: (error?: Error) => void): void {
    void (this.addresses.isOver(request.ip) ? this.#holdUp() : Promise.resolve()).then(() =>
      admit(request, null, done),
    );
  }

  /** Whoever knocks without end gets an answer, and not at once: it would otherwise keep the others from being answered. */
  async #holdUp(): Promise<void> {
    if (this.#heldUp >= MOST_HELD_UP) return;
    this.#heldUp += 1;
    await sleep(HOLD_UP_MS, undefined, { ref: false });
    this.#heldUp -= 1;
  }

  /** Null where it is nobody's, undefined where that is not known here. */
  #recognise(credential: string, hash: string): KnownClient | null | undefined {
    const keyId = keyIdOf(credential);
    const known = keyId === undefined ? undefined : this.directory.knownKey(keyId, hash);
    if (known) return known;
    // Of any form, and so also of that of a key.
    if (this.admin.is(hash)) return ADMIN;
    if (keyId !== undefined) return known;
    const workload = this.workloads.believed(hash);
    if (workload) return this.directory.knownWorkload(workload);
    return this.workloads.looksLikeJwt(credential) ? undefined : null;
  }

  /** Strangers from one address may have only so many looked up: made-up ones would otherwise cost us more than their sender. */
  async #lookUp(credential: string, hash: string, address: string | undefined): Promise<KnownClient | null> {
    const underWay = this.lookUps.underWay(hash);
    if (underWay) return underWay;
    const find = (): Promise<KnownClient | null> =>
      this.lookUps.lookUp(hash, () => this.#find(credential, hash));
    if (this.#isFamiliar(credential, hash)) return find();
    const waitS = this.addresses.take(address);
    if (waitS !== undefined) {
      await this.#holdUp();
      throw tooManyUnknown(waitS);
    }
    let isStranger = false;
    try {
      const client = await find();
      isStranger = !client;
      return client;
    } finally {
      // Also where nobody could tell: an outage is no fault of whoever asked.
      if (!isStranger) this.addresses.giveBack(address);
    }
  }

  /** A client is looked up again when it was changed, and its token verified again now and then: it is no stranger for that. */
  #isFamiliar(credential: string, hash: string): boolean {
    const by = keyIdOf(credential) ?? this.workloads.remembered(hash);
    return by !== undefined && this.directory.isFamiliar(by);
  }

  async #find(credential: string, hash: string): Promise<KnownClient | null> {
    const keyId = keyIdOf(credential);
    if (keyId !== undefined) return this.directory.findKey(keyId, hash);
    const workload = await this.workloads.verify(credential, hash);
    return workload ? this.directory.findWorkload(workload) : null;
  }
}

function admit(request: FastifyRequest, client: KnownClient | null, done: (error?: Error) => void): void {
  if (!client)
    return done(new Problem('unauthenticated', 'Send a valid key as "Authorization: Bearer <key>".'));
  (request as KnownRequest).caller = new RequestCaller(client, request);
  done();
}

function signsIn({ method, routeOptions }: FastifyRequest): boolean {
  return method === 'POST' && routeOptions.url === '/console/session';
}
