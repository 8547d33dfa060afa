import { Injectable } from '@nestjs/common';
import { AuditBuffer } from '../audit/audit-buffer.js';
import { resourceOf, type Action, type Caller } from '../http/caller.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { TokenProvider } from '../provider/token-provider.js';
import type { Subject } from '../shared/ids.js';
import { Problem } from '../shared/problem.js';
import type { Secret } from '../shared/secret.js';
import { Field } from '../shared/schema.js';
import { Metrics } from '../telemetry/metrics.js';
import type { Wish } from '../token/serving.js';
import { refusalOf } from '../token/traced-tokens.js';
import { askAgainAt, shapeToken, TokenAnswer } from '../token/token-answer.js';
import { judge, type SessionRefusal } from './session-serving.js';
import { ONLY_VERSION, UserAnswer, type Session } from './session.js';
import { SessionService } from './session.service.js';

/** The 200 of a session's token: as every token's, and whose it is. */
export class SessionTokenAnswer extends TokenAnswer {
  @Field(UserAnswer) readonly user!: UserAnswer;
}

/** Hands out the tokens of sessions. Nothing here leads to a provider: what is over is told, never renewed. */
@Injectable()
export class SessionTokenService {
  constructor(
    private readonly registry: ProviderRegistry,
    private readonly sessions: SessionService,
    private readonly metrics: Metrics,
    private readonly audit: AuditBuffer,
  ) {}

  /** A session's token. Throws a Problem where there is no such session, or its token does not satisfy the wish. */
  async fetch(subject: Subject, sessionId: Secret, wish: Wish, caller: Caller): Promise<SessionTokenAnswer> {
    return this.#trace(subject, 'token:read-session', caller, async () => {
      const provider = this.registry.get(subject.provider);
      try {
        const found = await this.sessions.find(provider.name, subject.companyId, sessionId);
        const session = await this.#judged(provider, found, wish, caller);
        this.metrics.tokenAnswered(provider.name, 'fresh');
        return session;
      } catch (error) {
        this.metrics.tokenAnswered(provider.name, error instanceof Problem ? error.code : 'internal_error');
        throw error;
      }
    });
  }

  /**
   * The provider refused this version with a 401. Of the only version that says that the session is over, since
   * nothing renews it; of any other it says nothing, and the token is answered.
   */
  async report(
    subject: Subject,
    sessionId: Secret,
    version: number,
    caller: Caller,
  ): Promise<SessionTokenAnswer> {
    return this.#trace(subject, 'token:report', caller, async () => {
      const provider = this.registry.get(subject.provider);
      const found = await this.sessions.find(provider.name, subject.companyId, sessionId);
      const session = version === ONLY_VERSION ? await this.sessions.markReported(found, caller) : found;
      return this.#judged(provider, session, { minTtl: 0, scopes: [] }, caller);
    });
  }

  /** Throws the Problem where the session's token does not satisfy the wish. */
  async #judged(provider: TokenProvider, session: Session, wish: Wish, caller: Caller): Promise<Session> {
    const refusal = judge(session, wish);
    if (refusal) throw await problemOf(refusal, provider, session, caller);
    return session;
  }

  /** Leaves a trace before the token is answered, or of why it is not. */
  async #trace(
    subject: Subject,
    action: Action,
    caller: Caller,
    work: () => Promise<Session>,
  ): Promise<SessionTokenAnswer> {
    const asked = { actor: caller, action, resource: resourceOf(subject) };
    let session: Session;
    try {
      session = await work();
    } catch (error) {
      this.audit.note(refusalOf(asked, error));
      throw error;
    }
    const answer = await this.#answer(session);
    const { tokenFingerprint, expiresAt: tokenExpiresAt } = session;
    this.audit.note({
      ...asked,
      outcome: 'allowed',
      tokenVersion: ONLY_VERSION,
      tokenFingerprint,
      tokenExpiresAt,
    });
    return answer;
  }

  async #answer(session: Session): Promise<SessionTokenAnswer> {
    return {
      ...shapeToken({
        ...session,
        token: await this.sessions.openToken(session),
        provider: this.registry.get(session.provider),
        locationId: null,
        renewAt: askAgainAt(session.now),
        version: ONLY_VERSION,
        connectionId: null,
      }),
      user: { id: session.userId },
    };
  }
}

async function problemOf(
  refusal: SessionRefusal,
  provider: TokenProvider,
  { companyId }: Session,
  caller: Caller,
): Promise<Problem> {
  switch (refusal.code) {
    case 'scope_missing':
      return new Problem(refusal.code, 'This user was not granted a scope that was asked for.', {
        missing_scopes: refusal.missingScopes,
      });
    case 'ttl_unsatisfiable':
      return new Problem(refusal.code, "min_ttl is more than 90 % of this token's life: ask for less.", {
        max_ttl: refusal.maxTtl,
      });
    case 'reauthorization_required': {
      const resource = resourceOf({ provider: provider.name, companyId, locationId: null });
      const mayConnect = caller.permits('connection:write', resource);
      const url = mayConnect ? await provider.reauthorizeUrl(companyId, []) : null;
      return new Problem(
        refusal.code,
        "The session's token has expired, was refused, or is too short, and nothing renews it: the user has to open the extension again.",
        url === null ? {} : { authorize_url: url },
      );
    }
  }
}
