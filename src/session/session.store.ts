import { Injectable } from '@nestjs/common';
import type { AuditEvent } from '../audit/audit-event.js';
import { AuditStore } from '../audit/audit.store.js';
import { Database, type Statement } from '../database/database.js';
import { resourceOf } from '../http/caller.js';
import type { Actor } from '../shared/actor.js';
import type { Sealed } from '../shared/secret.js';
import { ONLY_VERSION, type Session } from './session.js';

/** How long a ticket waits to be traded. */
const TICKET_LIVES_S = 60;
/** How long a session says that it has expired, before nobody knows of it any more. */
const REMEMBERED = `interval '1 day'`;
/** Rows of each kind that are cleared away at once: more than the one that an opening makes, so that nothing piles up. */
const CLEARED_AT_ONCE = 100;

/** The columns of a Session, as they are called in the code. */
const COLUMNS = `
  s.id, s.provider, s.company_id as "companyId", s.user_id as "userId", s.sealed_token as "sealedToken",
  s.token_type as "tokenType", s.scopes, s.token_fingerprint as "tokenFingerprint", extract(epoch from s.expires_at - s.issued_at)::float8 as "lifetimeS",
  s.expires_at as "expiresAt", s.reported_at as "reportedAt", broker_now() as "now"`;

/** Rows that are over, without waiting for whoever has one of them in hand. */
const over = (condition: string, order: string): string => `
  select id from online_sessions where ${condition} order by ${order} limit ${CLEARED_AT_ONCE} for update skip locked`;

const seconds = (parameter: string): string => `make_interval(secs => ${parameter}::double precision)`;

const SQL = {
  /** Three kinds of what is over; they share no row. */
  clear: {
    name: 'sessions_clear',
    text: `with untraded as (${over('session_hash is null and ticket_expires_at <= broker_now()', 'ticket_expires_at')}),
                past as (${over(`session_hash is not null and expires_at <= broker_now() - ${REMEMBERED}`, 'expires_at')}),
                expired as (${over(
                  `session_hash is not null and sealed_token is not null
                   and expires_at <= broker_now() and expires_at > broker_now() - ${REMEMBERED}`,
                  'expires_at',
                )}),
                forgotten as (
                  delete from online_sessions s
                  using (select id from untraded union all select id from past) gone where s.id = gone.id),
                erased as (update online_sessions s set sealed_token = null from expired where s.id = expired.id)
           select 1`,
  },

  /**
   * A new row, never one that is there: $1 id, $2 provider, $3 company, $4 user, $5 ticket hash, $6 sealed token, $7 type,
   * $8 scopes, $9 fingerprint, $10 seconds since it was issued, $11 seconds that it lives.
   */
  open: {
    text: `insert into online_sessions as s
             (id, provider, company_id, user_id, ticket_hash, ticket_expires_at,
              sealed_token, token_type, scopes, token_fingerprint, issued_at, expires_at)
           values ($1, $2, $3, $4, $5, broker_now() + ${seconds(String(TICKET_LIVES_S))},
                   $6, $7, $8, $9, broker_now() - ${seconds('$10')},
                   broker_now() - ${seconds('$10')} + ${seconds('$11')})
           returning ${COLUMNS}`,
  },

  findByTicket: {
    text: `select ${COLUMNS} from online_sessions s where s.ticket_hash = $1 and s.ticket_expires_at > broker_now()`,
  },

  /** The hash once more: of those who found the same ticket, one finds it still there. */
  trade: {
    text: `update online_sessions s set session_hash = $3, ticket_hash = null, ticket_expires_at = null
           where s.id = $1 and s.ticket_hash = $2 and s.ticket_expires_at > broker_now()
           returning ${COLUMNS}`,
  },

  find: { text: `select ${COLUMNS} from online_sessions s where s.session_hash = $1` },

  findOf: {
    name: 'session_of_company',
    text: `select ${COLUMNS} from online_sessions s
           where s.session_hash = $1 and s.provider = $2 and s.company_id = $3`,
  },

  markReported: {
    text: `update online_sessions s set reported_at = broker_now() where s.id = $1 and s.reported_at is null
           returning ${COLUMNS}`,
  },

  end: { text: `delete from online_sessions s where s.id = $1 returning ${COLUMNS}` },

  /** In one order, so that two of these at once wait for each other and no more. */
  endAllOf: {
    text: `with all_of_them as (
             select id from online_sessions where provider = $1 and company_id = $2 order by id for update)
           delete from online_sessions s using all_of_them where s.id = all_of_them.id returning ${COLUMNS}`,
  },

  listLiving: {
    text: `select ${COLUMNS} from online_sessions s
           where s.provider = $1 and s.company_id = $2 and s.sealed_token is not null
             and (s.expires_at is null or s.expires_at > broker_now())
           order by s.expires_at desc nulls first limit $3`,
  },
} as const;

/** A session ready to be kept: the token sealed for its row, its times relative to now. */
export interface NewSession {
  readonly id: string;
  readonly provider: string;
  readonly companyId: string;
  readonly userId: string | null;
  readonly ticketHash: Buffer;
  readonly sealedToken: Sealed;
  readonly tokenType: string;
  readonly scopes: readonly string[];
  readonly fingerprint: string;
  /** Seconds since the request that brought the token was sent. */
  readonly ageS: number;
  /** Seconds that it lives from then; null: it never expires. */
  readonly lifetimeS: number | null;
}

/** The only SQL on `online_sessions`. It knows tickets and session ids by their hashes alone, and opens nothing. */
@Injectable()
export class SessionStore {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditStore,
  ) {}

  /** Erases tokens that have expired and forgets what is long over, a bounded number of rows at a time. */
  async clear(): Promise<void> {
    await this.database.run(SQL.clear);
  }

  async open(session: NewSession, actor: Actor): Promise<void> {
    const { id, provider, companyId, userId, ticketHash, sealedToken, tokenType, scopes } = session;
    const { fingerprint, ageS, lifetimeS } = session;
    const whose = [id, provider, companyId, userId, ticketHash];
    const token = [sealedToken, tokenType, scopes, fingerprint, ageS, lifetimeS];
    await this.#change(SQL.open, [...whose, ...token], actor, 'opened');
  }

  /** Undefined where there is no such ticket (any more). */
  async findByTicket(ticketHash: Buffer): Promise<Session | undefined> {
    const [row] = await this.database.run<Session>(SQL.findByTicket, [ticketHash]);
    return row;
  }

  /** Spends the ticket; undefined where somebody else did, or its time is over. */
  async trade(
    id: string,
    ticketHash: Buffer,
    sessionHash: Buffer,
    actor: Actor,
  ): Promise<Session | undefined> {
    const [row] = await this.#change(SQL.trade, [id, ticketHash, sessionHash], actor, 'traded');
    return row;
  }

  async find(sessionHash: Buffer): Promise<Session | undefined> {
    const [row] = await this.database.run<Session>(SQL.find, [sessionHash]);
    return row;
  }

  /** Undefined also where the session is another provider's or company's. */
  async findOf(provider: string, companyId: string, sessionHash: Buffer): Promise<Session | undefined> {
    const [row] = await this.database.run<Session>(SQL.findOf, [sessionHash, provider, companyId]);
    return row;
  }

  /** From here on the token is refused; the first report counts. */
  async markReported(id: string, actor: Actor): Promise<void> {
    await this.#change(SQL.markReported, [id], actor, 'reported');
  }

  /** Removes the row, and the sealed token with it; undefined where it was gone. */
  async end(id: string, actor: Actor): Promise<Session | undefined> {
    const [row] = await this.#change(SQL.end, [id], actor, 'ended');
    return row;
  }

  /** How many there were. */
  async endAllOf(provider: string, companyId: string, actor: Actor): Promise<number> {
    return (await this.#change(SQL.endAllOf, [provider, companyId], actor, 'ended')).length;
  }

  /** Those whose token has not expired, the longest-lived first, traded or not. */
  async listLiving(provider: string, companyId: string, atMost: number): Promise<Session[]> {
    return this.database.run<Session>(SQL.listLiving, [provider, companyId, atMost]);
  }

  /** Changes sessions, and says so in the trail of each. */
  async #change(
    statement: Statement,
    values: readonly unknown[],
    actor: Actor,
    reason: string,
  ): Promise<Session[]> {
    return this.database.transaction(async (run) => {
      const rows = await run<Session>(statement, values);
      await this.audit.write(run, ...rows.map((session) => changeOf(session, actor, reason)));
      return rows;
    });
  }
}

function changeOf(session: Session, actor: Actor, reason: string): AuditEvent {
  return {
    actor,
    action: 'token:read-session',
    outcome: 'allowed',
    resource: resourceOf({ ...session, locationId: null }),
    tokenVersion: ONLY_VERSION,
    tokenFingerprint: session.tokenFingerprint,
    reason,
  };
}
