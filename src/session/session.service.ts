import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { AuditBuffer } from '../audit/audit-buffer.js';
import { resourceOf, type Caller } from '../http/caller.js';
import type { IssuedToken, TokenProvider } from '../provider/token-provider.js';
import type { Actor } from '../shared/actor.js';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { Secret } from '../shared/secret.js';
import type { Revocation } from '../token/revocation.service.js';
import { Vault, VaultError } from '../vault/vault.js';
import { placeOf, type Session } from './session.js';
import { SessionStore } from './session.store.js';

/** Of tickets and session ids: 256 bits. */
const RANDOM_BYTES = 32;
const CLEAR_EVERY_MS = 60_000;
const ACTION = 'token:read-session';

/** A session's token, for asking the provider whether it still takes it. */
export interface LivingToken {
  /** The row's own id, which opens nothing. */
  readonly id: string;
  readonly token: Secret;
}

/** The life of online sessions: opened at a callback, traded once, ended by whoever holds one or by an uninstall. */
@Injectable()
export class SessionService {
  readonly #logger = new Logger('Sessions');

  constructor(
    private readonly store: SessionStore,
    private readonly vault: Vault,
    private readonly clock: Clock,
    private readonly audit: AuditBuffer,
  ) {}

  /**
   * Keeps a user's own token as a session of its own, whatever sessions that user has already.
   *
   * @param userId as the provider told it; null where it did not
   * @returns the ticket to send the browser away with: good once, for 60 seconds
   */
  async open(
    provider: TokenProvider,
    companyId: string,
    token: IssuedToken,
    userId: string | null,
    actor: Actor,
  ): Promise<Secret> {
    await this.store.clear();
    const ticket = random();
    const row = { id: randomUUID(), provider: provider.name, companyId };
    const session = {
      ...row,
      userId,
      ticketHash: hash(ticket),
      sealedToken: this.vault.seal(token.accessToken, placeOf(row)),
      tokenType: token.tokenType,
      // Where the provider does not say what this user may do, nothing is taken for granted.
      scopes: token.scopes ?? [],
      fingerprint: this.vault.fingerprint(token.accessToken),
      ageS: (this.clock.monotonic() - token.sentAt) / 1_000,
      lifetimeS: token.lifetimeSeconds,
    };
    await this.store.open(session, actor);
    return ticket;
  }

  /** Also where nobody opens sessions any more, nothing that has expired is kept. */
  @Interval(CLEAR_EVERY_MS)
  async clear(): Promise<void> {
    try {
      await this.store.clear();
    } catch (error) {
      this.#logger.debug(`what is over waits: ${error instanceof Error ? error.message : 'unknown error'}`);
    }
  }

  /**
   * Trades a ticket for a session's id. Throws Problem `session_not_found`, or `forbidden` where the caller may not
   * read this company's sessions: then the ticket is still there for one who may.
   */
  async trade(ticket: Secret, caller: Caller): Promise<{ sessionId: Secret; session: Session }> {
    const ticketHash = hash(ticket);
    const found = await this.store.findByTicket(ticketHash);
    if (!found) throw unknownTicket();
    if (!this.#mayRead(caller, found))
      throw new Problem('forbidden', `This caller lacks the permission ${ACTION}.`);
    const sessionId = random();
    const session = await this.store.trade(found.id, ticketHash, hash(sessionId), caller);
    if (!session) throw unknownTicket();
    return { sessionId, session };
  }

  /** Ends a session and erases its token. Throws Problem `session_not_found`, also where the caller may not read it. */
  async revoke(sessionId: Secret, caller: Caller): Promise<Revocation> {
    const found = await this.store.find(hash(sessionId));
    const ended = found && this.#mayRead(caller, found) ? await this.store.end(found.id, caller) : undefined;
    if (!ended) throw unknownSession();
    const { expiresAt, now } = ended;
    const isStillValid = expiresAt === null || expiresAt > now;
    return { upstream: 'unsupported', tokenValidUntil: isStillValid ? expiresAt : null, isStillValid };
  }

  /** The session of this provider and company. Throws Problem `session_not_found`. */
  async find(provider: string, companyId: string, sessionId: Secret): Promise<Session> {
    const session = await this.store.findOf(provider, companyId, hash(sessionId));
    if (!session) throw unknownSession();
    return session;
  }

  /** The provider is said to refuse the session's token: it is handed out no more. */
  async markReported(session: Session, actor: Actor): Promise<Session> {
    await this.store.markReported(session.id, actor);
    return { ...session, reportedAt: session.reportedAt ?? session.now };
  }

  /** Throws a VaultError where the row was tampered with. */
  async openToken(session: Session): Promise<Secret> {
    if (!session.sealedToken) throw new Error('an erased token cannot be served');
    await this.vault.know(session.sealedToken);
    return this.vault.open(session.sealedToken, placeOf(session));
  }

  /** Ends every session of a company, those whose ticket nobody has traded yet included; how many there were. */
  async endAllOf(provider: string, companyId: string, actor: Actor): Promise<number> {
    return this.store.endAllOf(provider, companyId, actor);
  }

  /**
   * Tokens that have not expired, reported ones included, the longest-lived first. One that does not open is left out:
   * it is no reason to believe the company gone, nor to stop asking about it.
   */
  async livingTokensOf(provider: string, companyId: string, atMost: number): Promise<LivingToken[]> {
    const living = await this.store.listLiving(provider, companyId, atMost);
    const opened: LivingToken[] = [];
    for (const session of living) {
      try {
        opened.push({ id: session.id, token: await this.openToken(session) });
      } catch (error) {
        if (!(error instanceof VaultError)) throw error;
        this.#logger.error(error.message);
      }
    }
    return opened;
  }

  /** Ends one session by its row's id and erases its token; again is no error. */
  async end(id: string, actor: Actor): Promise<void> {
    await this.store.end(id, actor);
  }

  /** A session is judged as its company. Leaves a trace where that is denied, whatever the caller is told. */
  #mayRead(caller: Caller, { provider, companyId }: Session): boolean {
    const resource = resourceOf({ provider, companyId, locationId: null });
    if (caller.permits(ACTION, resource)) return true;
    this.audit.note({ actor: caller, action: ACTION, outcome: 'denied', resource, reason: 'forbidden' });
    return false;
  }
}

function random(): Secret {
  return new Secret(randomBytes(RANDOM_BYTES).toString('base64url'));
}

/** Without salt or stretching: nobody can guess 256 random bits. */
function hash(secret: Secret): Buffer {
  return createHash('sha256').update(secret.reveal()).digest();
}

function unknownTicket(): Problem {
  return new Problem(
    'session_not_found',
    'This ticket is unknown, used, or older than a minute: the user has to open the extension again.',
  );
}

function unknownSession(): Problem {
  return new Problem('session_not_found', 'There is no such session, or it has ended.');
}
