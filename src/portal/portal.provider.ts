import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
} from 'class-validator';
import type { PortalSettings } from '../config/provider-settings.js';
import { OfferedTo } from '../http/description.js';
import { readBody } from '../http/validation.js';
import { headerFor } from '../provider/access-token.js';
import {
  CREDENTIAL_TYPES,
  type CredentialType,
  type OfferedGrant,
  type Outcome,
  type TokenProvider,
} from '../provider/token-provider.js';
import type { Clock } from '../shared/clock.js';
import { invalid } from '../shared/problem.js';
import { Secret } from '../shared/secret.js';
import { IsTime } from '../shared/is-time.js';
import { Field } from '../shared/schema.js';

/** RFC 3339 5.6, without leap seconds: ISO 8601 has more forms than a Date can be made of, weeks for one. */

/** A token as a person copied it out of the portal. */
@OfferedTo('a seller portal')
class PortalTokenShape {
  @IsString()
  @Matches(/^[\x21-\x7e]+$/, { message: 'must be a token: printable ASCII without spaces' })
  @MaxLength(16_384)
  @Field({ examples: ['…'] })
  token!: string;
  @IsIn(CREDENTIAL_TYPES, { message: `must be one of ${CREDENTIAL_TYPES.join(', ')}` })
  @Field({ examples: ['service'] })
  token_type!: CredentialType;
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(200)
  @Matches(/^[\x21-\x7e]{1,256}$/, { each: true, message: 'must be scopes' })
  scopes?: string[] | null;
  @IsOptional()
  @IsTime('With its zone, and to come.')
  expires_at?: string | null;
  @IsOptional()
  @IsBoolean()
  @Field({ default: false }, 'Then it must expire.')
  shared_externally?: boolean | null;
}

/**
 * A seller portal whose tokens people make by hand (personal, service, base, test). No API issues, renews or revokes them:
 * the broker keeps them, hands them out, and says when they are due for another.
 */
export class PortalProvider implements TokenProvider {
  readonly kind = 'portal';
  readonly name: string;
  readonly scopes = [];
  readonly renews = false;
  readonly hasClientSecret = false;
  readonly mintsFromCredential = false;

  constructor(
    readonly settings: PortalSettings,
    private readonly clock: Clock,
  ) {
    this.name = settings.name;
  }

  header(accessToken: Secret): { name: string; value: string } {
    return headerFor(accessToken, this.settings.header);
  }

  /** Nobody but a person makes another. The engine does not ask where `renews` is false. */
  renew(): Promise<Outcome> {
    return Promise.reject(new Error('a token made by hand cannot be renewed'));
  }

  readOffer(body: unknown): OfferedGrant {
    const shape = readBody(PortalTokenShape, body);
    const { token, token_type: type } = shape;
    const sharedExternally = shape.shared_externally ?? false;
    const expiresAt = shape.expires_at ? new Date(shape.expires_at) : null;
    const lifetimeMs = expiresAt && expiresAt.getTime() - this.clock.nowMs();
    if (lifetimeMs !== null && lifetimeMs <= 0)
      throw invalid('expires_at', 'is past: this token is of no use any more');
    if (sharedExternally && expiresAt === null) {
      throw invalid('expires_at', 'must be given for a token that is shared with somebody outside');
    }
    const accessToken = new Secret(token);
    return {
      grant: null,
      credential: accessToken,
      madeByHand: true,
      token: {
        accessToken,
        tokenType: 'Bearer',
        lifetimeSeconds: lifetimeMs === null ? null : lifetimeMs / 1_000,
        lifetimeAssumed: false,
      },
      scopes: shape.scopes ?? [],
      verify: false,
      type,
      sharedExternally,
      expiresAt,
    };
  }

  /** There are no client credentials. */
  credentialsInForce(): Secret {
    return new Secret(this.name);
  }

  reauthorizeUrl(): Promise<null> {
    return Promise.resolve(null);
  }
}
