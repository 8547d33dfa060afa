import { Injectable } from '@nestjs/common';
import { AuditBuffer } from '../audit/audit-buffer.js';
import type { AuditEvent } from '../audit/audit-event.js';
import type { BufferedEvent } from '../audit/buffered-event.js';
import { resourceOf, type Caller } from '../http/caller.js';
import type { Actor } from '../shared/actor.js';
import type { Subject } from '../shared/ids.js';
import { EVERYTHING } from '../shared/permission.js';
import { Problem } from '../shared/problem.js';
import type { Wish } from './serving.js';
import { TokenAnswers, type TokenAnswer } from './token-answer.js';
import type { Served } from './served.js';
import type { KeptTokenInHand } from './token-in-hand.js';
import { TokenService } from './token.service.js';

/** Answers tokens, and leaves a trace of each before it is answered; also of those that a caller asked for in vain. */
@Injectable()
export class TracedTokens {
  constructor(
    private readonly tokens: TokenService,
    private readonly answers: TokenAnswers,
    private readonly audit: AuditBuffer,
  ) {}

  /** As `TokenService.fetch`. Throws Problem `store_unavailable` where there is no room for the trace. */
  async fetch(subject: Subject, wish: Wish, orCompany: boolean, caller: Caller): Promise<TokenAnswer> {
    const asked = { actor: caller, action: 'token:read', resource: resourceOf(subject) } as const;
    return this.#trace(asked, () => this.tokens.fetch(subject, wish, orCompany, caller));
  }

  /** The JSON of `TokenService.fetchAtOnce`. Throws Problem `store_unavailable` where there is no room for the trace. */
  fetchAtOnce(subject: Subject, resource: string, wish: Wish, caller: Caller): string | undefined {
    const served = this.tokens.fetchAtOnce(subject, resource, wish, caller);
    return served && this.#write(caller, served);
  }

  /** The JSON of `TokenService.fetchInHand`; what takes more leaves no trace here. */
  async fetchInHand(
    subject: Subject,
    wish: Wish,
    orCompany: boolean,
    caller: Caller,
  ): Promise<string | undefined> {
    const asked = { actor: caller, action: 'token:read', resource: resourceOf(subject) } as const;
    const served = await this.#traced(asked, () => this.tokens.fetchInHand(subject, wish, orCompany, caller));
    return served && this.#write(caller, served);
  }

  /** As `TokenService.report`. Throws Problem `store_unavailable` where there is no room for the trace. */
  async report(subject: Subject, version: number, caller: Caller): Promise<TokenAnswer> {
    const asked = { actor: caller, action: 'token:report', resource: resourceOf(subject) } as const;
    return this.#trace(asked, () => this.tokens.report(subject, version, caller));
  }

  async #trace(asked: Asked, work: () => Promise<Served>): Promise<TokenAnswer> {
    const served = await this.#traced(asked, work);
    const answer = this.answers.of(served);
    this.#note(asked.actor, asked.action, served);
    return answer;
  }

  /** Leaves a trace of what came to nothing. */
  async #traced<T extends Served | undefined>(asked: Asked, work: () => Promise<T>): Promise<T> {
    try {
      const served = await work();
      if (served) await this.answers.ready(served);
      return served;
    } catch (error) {
      this.audit.note(refusalOf(asked, error));
      throw error;
    }
  }

  #write(actor: Actor, served: Served<KeptTokenInHand>): string {
    const text = this.answers.textOf(served);
    const { answer } = served.connection;
    if (answer?.noted && this.audit.noteAgain(answer.noted, actor)) return text;
    const noted = this.#note(actor, 'token:read', served);
    if (answer) answer.noted = noted;
    return text;
  }

  #note(actor: Actor, action: AuditEvent['action'], { connection }: Served): BufferedEvent {
    return this.audit.note({
      actor,
      action,
      outcome: 'allowed',
      // The company's own, where that stood in for a location's.
      resource: connection.resource ?? resourceOf(connection),
      connectionId: connection.id,
      tokenVersion: connection.tokenVersion,
      tokenFingerprint: connection.tokenFingerprint,
      tokenExpiresAt: connection.expiresAt,
    });
  }
}

type Asked = Pick<AuditEvent, 'actor' | 'action' | 'resource'>;

/** What was asked for in vain, and why. */
export function refusalOf(
  asked: Pick<AuditEvent, 'actor' | 'action' | 'resource'>,
  error: unknown,
): AuditEvent {
  const { code, extensions } = error instanceof Problem ? error : { code: 'internal_error', extensions: {} };
  // The only permission that is judged once the connection is found.
  if (code === 'forbidden')
    return { ...asked, action: 'token:read-personal', outcome: 'denied', reason: code };
  // Where no such provider is configured, its name is a text from outside.
  const resource = code === 'provider_not_found' ? EVERYTHING : asked.resource;
  return {
    ...asked,
    resource,
    outcome: 'failed',
    connectionId: extensions.connection_id ?? null,
    reason: code,
  };
}
