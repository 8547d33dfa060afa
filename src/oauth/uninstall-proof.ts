import { Injectable, Logger } from '@nestjs/common';
import { SessionService } from '../session/session.service.js';
import { BROKER } from '../shared/actor.js';
import { Problem } from '../shared/problem.js';
import { remainingSeconds, type Connection } from '../token/connection.js';
import { ConnectionStore } from '../token/connection.store.js';
import { RevocationService } from '../token/revocation.service.js';
import { TokenRenewer } from '../token/token-renewer.js';
import type { FyndPlatformProvider } from './fynd-platform.provider.js';
import { TokenTests } from './token-tests.js';

/** What a proof found: the extension is gone, or still there; `unknown` where the provider could not tell. */
export type Finding = 'gone' | 'there' | 'unknown';

/** A finding, and the connection as it was when it was found. */
interface Judgement {
  readonly finding: Finding;
  readonly judged: Connection;
}

/** Sessions of one company that are read at once: while all of them have ended, there may be more. */
const SESSIONS_AT_ONCE = 50;
/** A 401 on a token that is about to expire proves nothing. */
const CERTAIN_FOR_S = 60;

/** Asks the provider whether a company still has the extension; what is gone there ends here. */
@Injectable()
export class UninstallProof {
  readonly #logger = new Logger('Uninstall');

  constructor(
    private readonly store: ConnectionStore,
    private readonly sessions: SessionService,
    private readonly revocations: RevocationService,
    private readonly renewer: TokenRenewer,
    private readonly tests: TokenTests,
  ) {}

  /** Is there anything that could end? So that nobody can fill the table with names. */
  async isWorthwhile(provider: string, companyId: string): Promise<boolean> {
    const connection = await this.store.findBySubject({ provider, companyId, locationId: null });
    if (connection && connection.status !== 'revoked') return true;
    return (await this.sessions.livingTokensOf(provider, companyId, 1)).length > 0;
  }

  async of(provider: FyndPlatformProvider, companyId: string): Promise<Finding> {
    const { name } = provider;
    const connection = await this.store.findBySubject({ provider: name, companyId, locationId: null });
    if (!connection || connection.status === 'revoked') return this.#lookAtSessions(provider, companyId);
    const { finding, judged } = await this.renewer.track(this.#lookAt(provider, connection));
    if (finding !== 'gone') return finding;
    if (!(await this.revocations.noteEnded(judged, 'uninstalled'))) return 'unknown';
    const ended = await this.sessions.endAllOf(name, companyId, BROKER);
    this.#logger.log(`${name} ${connection.id}: uninstalled; ${ended} sessions ended`);
    return 'gone';
  }

  /** The token in hand costs the least to ask with; a renewal is the other question. */
  async #lookAt(provider: FyndPlatformProvider, connection: Connection): Promise<Judgement> {
    const { sealedToken } = connection;
    const judge = (finding: Finding, judged = connection): Judgement => ({ finding, judged });
    // Somebody else may be renewing the grant, so that its token here proves nothing.
    if (connection.status === 'paused') return judge('unknown');
    if (sealedToken && remainingSeconds(connection) > CERTAIN_FOR_S) {
      const answer = await this.tests.ofConnection(provider, connection, sealedToken);
      if (answer === 'alive') return judge('there');
      if (answer === 'ended') return judge('gone');
      if (answer === 'away') return judge('unknown');
    }
    if (connection.status === 'reauthorization_required')
      return judge(isRefused(connection) ? 'gone' : 'unknown');
    try {
      // As a caller does, and no sooner: anybody's word must not end a wait that saves the grant.
      const renewed = await this.renewer.renew(connection, connection.tokenVersion);
      if (renewed && isRefused(renewed)) return judge('gone', renewed);
      return judge(renewed && isRenewed(connection, renewed) ? 'there' : 'unknown');
    } catch (error) {
      if (error instanceof Problem) return judge('unknown');
      throw error;
    }
  }

  /** Where only users have tokens, each is asked about by itself, for as long as the provider is there to tell. */
  async #lookAtSessions(provider: FyndPlatformProvider, companyId: string): Promise<Finding> {
    let finding: Finding = 'there';
    let areAllEnded: boolean;
    do {
      const living = await this.sessions.livingTokensOf(provider.name, companyId, SESSIONS_AT_ONCE);
      areAllEnded = living.length > 0;
      for (const { id, token } of living) {
        const answer = await this.tests.of(provider, companyId, token);
        if (answer === 'away') return 'unknown';
        if (answer === 'ended') await this.sessions.end(id, BROKER);
        else areAllEnded = false;
        if (answer === 'unclear') finding = 'unknown';
      }
    } while (areAllEnded);
    return finding;
  }
}

/** Surely, and not for a reason of our own. */
function isRefused({ status, statusReason }: Connection): boolean {
  return status === 'reauthorization_required' && statusReason === 'invalid_grant';
}

function isRenewed(before: Connection, after: Connection): boolean {
  if (after.tokenVersion > before.tokenVersion) return true;
  return (after.lastRenewedAt?.getTime() ?? 0) > (before.lastRenewedAt?.getTime() ?? 0);
}
