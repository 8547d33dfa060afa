import { Injectable } from '@nestjs/common';
import type { Sealed, Secret } from '../shared/secret.js';
import { placeOf, type Connection } from '../token/connection.js';
import { Exchanges } from '../token/exchanges.js';
import { Vault } from '../vault/vault.js';
import type { FyndPlatformProvider } from './fynd-platform.provider.js';
import type { TestAnswer } from './test-answer.js';

/** Asks with tokens whether they still live: anybody may cause it, so it is done at the pace of what anybody may bring. */
@Injectable()
export class TokenTests {
  constructor(
    private readonly exchanges: Exchanges,
    private readonly vault: Vault,
  ) {}

  /** Throws a VaultError where the token does not open. */
  async ofConnection(
    provider: FyndPlatformProvider,
    connection: Connection,
    sealedToken: Sealed,
  ): Promise<TestAnswer> {
    await this.vault.know(sealedToken);
    const token = this.vault.open(sealedToken, placeOf(connection, 'sealed_token'));
    return this.of(provider, connection.companyId, token);
  }

  /** Where there is no room, the provider could not tell. */
  async of(provider: FyndPlatformProvider, companyId: string, token: Secret): Promise<TestAnswer> {
    const told = await this.exchanges.run(
      provider,
      'exchange',
      () => provider.test(companyId, token),
      ({ failure }) => failure,
    );
    return told?.answer ?? 'away';
  }
}
