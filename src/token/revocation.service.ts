import { randomUUID } from 'node:crypto';
import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import type { Run } from '../database/database.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { UpstreamRevocation } from '../provider/token-provider.js';
import { BROKER, type Actor } from '../shared/actor.js';
import { Problem } from '../shared/problem.js';
import { Secret, type Sealed } from '../shared/secret.js';
import { within } from '../shared/within.js';
import { Vault, VaultError, type Place } from '../vault/vault.js';
import { placeOf, type Connection } from './connection.js';
import { ConnectionStore } from './connection.store.js';
import { OwedRevocationStore, type OwedRevocation } from './owed-revocation.store.js';
import { TokenRenewer } from './token-renewer.js';

/** What a revocation here means at the provider. */
export interface Revocation {
  readonly upstream: UpstreamRevocation['upstream'];
  /** Until when a token that somebody has already got is still good; null: not any more, or for ever. */
  readonly tokenValidUntil: Date | null;
  /** Whether it is. */
  readonly isStillValid: boolean;
}

const RETRY_EVERY_MS = 15_000;
const RETRIED_AT_ONCE = 10;
/** How long whoever revokes waits for the provider, in milliseconds. */
const CALLER_WAITS_MS = 10_000;

interface RevokedSecrets {
  readonly grant: string | null;
  readonly accessToken: string | null;
}

/**
 * Revokes here at once and tells the provider. What the provider could not be told is owed: it lies sealed in a row of its
 * own, is tried again for a day, and is erased with the answer.
 */
@Injectable()
export class RevocationService {
  readonly #logger = new Logger('Revocation');

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly store: ConnectionStore,
    private readonly owed: OwedRevocationStore,
    private readonly vault: Vault,
    private readonly renewer: TokenRenewer,
  ) {}

  /** Revokes; again is no error. Throws Problem `connection_not_found`. */
  async revoke(id: string, reason: string, actor: Actor): Promise<Revocation> {
    let owed: OwedRevocation | undefined;
    const owe = async (former: Connection, run: Run): Promise<UpstreamRevocation['upstream']> => {
      owed = await this.#owe(former, run);
      return owed ? 'owed' : 'unsupported';
    };
    const connection = await this.vault.knowing((check) =>
      this.store.revoke(
        id,
        reason,
        (former, run) => (check(former.sealedGrant, former.sealedToken), owe(former, run)),
        actor,
      ),
    );
    if (!connection) throw new Problem('connection_not_found', 'There is no connection with this id.');
    if (!owed) return answer(connection);
    // A stop waits for it: the provider is being told. Whoever asked does not wait for ever.
    const told = this.renewer.track(this.#tell(owed, connection));
    return (await within(told, CALLER_WAITS_MS)) ?? answer(connection);
  }

  /**
   * Revokes what the provider has ended by itself; false where the connection is not what was judged any more: connected
   * again or renewed meanwhile, or being renewed now.
   */
  async noteEnded(judged: Connection, reason: string): Promise<boolean> {
    const told = (): Promise<'revoked'> => Promise.resolve('revoked');
    const revoked = await this.store.revoke(judged.id, reason, told, BROKER, judged);
    if (!revoked) return false;
    await this.store.noteRevocation(judged.id, { upstream: 'revoked', accessTokenRevoked: true });
    return true;
  }

  /** Tells providers what they are still owed. */
  @Interval(RETRY_EVERY_MS)
  async retry(): Promise<void> {
    try {
      for (const { provider, connectionId } of await this.owed.giveUp()) {
        this.#logger.error(`${provider} ${connectionId}: could not be revoked there for a day; given up`);
        await this.store.noteRevocation(connectionId, { upstream: 'unsupported', accessTokenRevoked: false });
      }
      const names = this.registry.all().map(({ name }) => name);
      const due = await this.owed.takeDue(RETRIED_AT_ONCE, names);
      // One that cannot be told takes no other with it.
      const told = await Promise.allSettled(due.map((owed) => this.renewer.track(this.#retry(owed))));
      const failed = told.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
    } catch (error) {
      this.#logger.warn(`owed revocations wait: ${error instanceof Error ? error.message : 'unknown error'}`);
    }
  }

  async #retry(owed: OwedRevocation): Promise<void> {
    const connection = await this.store.findById(owed.connectionId);
    // Connected again: a provider that ends all of a client's grants at once would end the new one, too.
    if (connection?.status === 'revoked') await this.#tell(owed, connection);
    else await this.owed.settle(owed.id);
  }

  /** Undefined where nobody can be told, or nothing was there. */
  async #owe(former: Connection, run: Run): Promise<OwedRevocation | undefined> {
    const provider = this.registry.find(former.provider);
    const secrets = this.#secretsOf(former);
    if (!provider?.revoke || !secrets) return undefined;
    const id = randomUUID();
    const { id: connectionId, provider: name, companyId } = former;
    const sealedSecrets = this.vault.seal(secrets, place({ id, provider: name, companyId }));
    const owed = { id, connectionId, provider: name, companyId, sealedSecrets };
    await this.owed.add(run, owed);
    return owed;
  }

  async #tell(owed: OwedRevocation, connection: Connection): Promise<Revocation> {
    const provider = this.registry.get(owed.provider);
    await this.vault.know(owed.sealedSecrets);
    const { grant, accessToken } = this.vault
      .open(owed.sealedSecrets, place(owed))
      .revealJson<RevokedSecrets>();
    const told = (await provider.revoke?.(secretOf(grant), secretOf(accessToken))) ?? {
      upstream: 'unsupported',
      accessTokenRevoked: false,
    };
    if (told.upstream === 'owed') {
      this.#logger.warn(`${owed.provider} ${connection.id}: could not be revoked there yet; tried again`);
    } else if (!(await this.owed.settle(owed.id))) {
      // A grant that the connection had before this one, or after it, lives on there.
      return answer(connection);
    }
    return answer((await this.store.noteRevocation(connection.id, told)) ?? connection);
  }

  /** Null where there are none, or they do not open: then the row is erased all the same. */
  #secretsOf(former: Connection): Secret | null {
    if (!former.sealedGrant && !former.sealedToken) return null;
    try {
      const open = (sealed: Sealed | null, column: 'sealed_grant' | 'sealed_token'): string | null =>
        sealed && this.vault.open(sealed, placeOf(former, column)).reveal();
      const secrets: RevokedSecrets = {
        grant: open(former.sealedGrant, 'sealed_grant'),
        accessToken: open(former.sealedToken, 'sealed_token'),
      };
      return new Secret(JSON.stringify(secrets));
    } catch (error) {
      if (error instanceof VaultError) return null;
      throw error;
    }
  }
}

function secretOf(text: string | null): Secret | null {
  return text === null ? null : new Secret(text);
}

function place({ id, provider, companyId }: Pick<OwedRevocation, 'id' | 'provider' | 'companyId'>): Place {
  return { table: 'owed_revocations', column: 'sealed_secrets', rowId: id, provider, companyId };
}

function answer({ upstreamRevocation, tokenVersion, expiresAt, now }: Connection): Revocation {
  const isStillValid = tokenVersion > 0 && (expiresAt === null || expiresAt > now);
  return {
    upstream: upstreamRevocation ?? 'unsupported',
    tokenValidUntil: isStillValid ? expiresAt : null,
    isStillValid,
  };
}
