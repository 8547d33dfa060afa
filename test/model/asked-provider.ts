import type { SharedProviderSettings } from '../../src/config/provider-settings.js';
import {
  LeaseRanOut,
  type Outcome,
  type RenewalContext,
  type TokenProvider,
  type UpstreamRevocation,
} from '../../src/provider/token-provider.js';
import { Secret } from '../../src/shared/secret.js';
import type { Attempt } from './attempt.js';
import type { Grantor } from './grantor.js';

/** A provider as one replica sees it: the port before the grantor's books, whose every call waits for the story to go on. */
export class AskedProvider implements TokenProvider {
  readonly kind = 'model';
  readonly name: string;
  readonly scopes = [];
  readonly renews = true;
  readonly hasClientSecret = true;
  readonly mintsFromCredential: boolean;
  /** Whose call comes next. */
  next: Attempt | undefined;

  constructor(
    readonly settings: SharedProviderSettings,
    private readonly grantor: Grantor,
  ) {
    this.name = settings.name;
    this.mintsFromCredential = grantor.truth === 'minting';
  }

  header(): { name: string; value: string } {
    return { name: 'authorization', value: '' };
  }

  async renew(grant: Secret, context: RenewalContext): Promise<Outcome> {
    const attempt = this.next;
    if (!attempt) throw new Error('something was sent that nobody had claimed');
    attempt.asks(grant.reveal());
    await attempt.released;
    try {
      context.beforeSending();
    } catch (error) {
      if (error instanceof LeaseRanOut) attempt.gaveUp();
      throw error;
    }
    return attempt.sends(this.grantor, context.knownDialect !== null);
  }

  revoke(grant: Secret | null, accessToken: Secret | null): Promise<UpstreamRevocation> {
    if (accessToken) this.grantor.givenBack.add(accessToken.reveal());
    if (grant) this.grantor.end(grant.reveal());
    return Promise.resolve({ upstream: 'revoked', accessTokenRevoked: true });
  }

  credentialsInForce(): Secret {
    return new Secret('test-secret-client');
  }

  reauthorizeUrl(): Promise<null> {
    return Promise.resolve(null);
  }
}
