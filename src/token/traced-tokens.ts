import { Injectable } from '@nestjs/common';
import { AuditBuffer } from '../audit/audit-buffer.js';
import type { AuditEvent } from '../audit/audit-event.js';
import { resourceOf, type Caller } from '../http/caller.js';
import type { Actor } from '../shared/actor.js';
import type { Subject } from '../shared/ids.js';
import { EVERYTHING } from '../shared/permission.js';
import { Problem } from '../shared/problem.js';
import type { Wish } from './serving.js';
import { TokenAnswers, type TokenAnswer } from './token-answer.js';
import type { Served } from './served.js';
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

  /** As `TokenService.fetchAtOnce`. Throws Problem `store_unavailable` where there is no room for the trace. */
  fetchAtOnce(subject: Subject, wish: Wish, caller: Caller): TokenAnswer | undefined {
    const served = this.tokens.fetchAtOnce(subject, wish, caller);
    return served && this.#answer(caller, 'token:read', served);
  }

  /** As `TokenService.fetchInHand`; what takes more leaves no trace here. */
  async fetchInHand(
    subject: Subject,
    wish: Wish,
    orCompany: boolean,
    caller: Caller,
  ): Promise<TokenAnswer | undefined> {
    const asked = { actor: caller, action: 'token:read', resource: resourceOf(subject) } as const;
    return this.#trace(asked, () => this.tokens.fetchInHand(subject, wish, orCompany, caller));
  }

  /** As `TokenService.report`. Throws Problem `store_unavailable` where there is no room for the trace. */
  async report(subject: Subject, version: number, caller: Caller): Promise<TokenAnswer> {
    const asked = { actor: caller, action: 'token:report', resource: resourceOf(subject) } as const;
    return this.#trace(asked, () => this.tokens.report(subject, version, caller));
  }

  async #trace<T extends Served | undefined>(
    asked: Asked,
    work: () => Promise<T>,
  ): Promise<TokenAnswer | Extract<T, undefined>> {
    let served: T;
    try {
      served = await work();
    } catch (error) {
      this.audit.note(refusalOf(asked, error));
      throw error;
    }
    return served ? this.#answer(asked.actor, asked.action, served) : (served as Extract<T, undefined>);
  }

  #answer(actor: Actor, action: AuditEvent['action'], served: Served): TokenAnswer {
    const answer = this.answers.of(served);
    const { connection } = served;
    this.audit.note({
      actor,
      action,
      outcome: 'allowed',
      // The company's own, where that stood in for a location's.
      resource: resourceOf(connection),
      connectionId: connection.id,
      tokenVersion: connection.tokenVersion,
      tokenFingerprint: connection.tokenFingerprint,
      tokenExpiresAt: connection.expiresAt,
    });
    return answer;
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
