import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsInt,
  IsOptional,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { OfferedTo } from '../http/description.js';
import { readBody } from '../http/validation.js';
import type { OfferedGrant } from '../provider/token-provider.js';
import { invalid } from '../shared/problem.js';
import { Secret } from '../shared/secret.js';
import { Field } from '../shared/schema.js';

const TOKEN = /^[\x21-\x7e]+$/;
const NO_TOKEN = { message: 'must be a token: printable ASCII without spaces' };

/** A grant that was obtained elsewhere, as it is imported. */
@OfferedTo('a provider of OAuth grants: one that was obtained elsewhere')
class ImportShape {
  @IsString({
    message: 'must be the refresh token of a grant obtained elsewhere; for a new one make an authorize-link',
  })
  @Matches(TOKEN, NO_TOKEN)
  @MaxLength(16_384)
  @Field({ examples: ['…'] })
  refresh_token!: string;
  @IsOptional() @IsString() @Matches(TOKEN, NO_TOKEN) @MaxLength(16_384) access_token?: string | null;
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(315_360_000)
  @Field({}, 'Seconds; goes with `access_token`.')
  expires_in?: number | null;
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(200)
  @Matches(/^[\x21-\x7e]{1,256}$/, { each: true, message: 'must be scopes' })
  scopes?: string[] | null;
  @IsOptional() @IsBoolean() paused?: boolean | null;
}

/**
 * Reads a grant obtained elsewhere: `{ refresh_token, access_token?, expires_in?, scopes?, paused? }`. It is taken at its
 * word: proving it would renew it, which whoever still holds it may be doing, too.
 *
 * @param fallbackSeconds what its token is taken to live where nobody says
 * @param keep the refresh token in the form that renewals take
 */
export function readImport(
  body: unknown,
  fallbackSeconds: number,
  keep: (refreshToken: string) => Secret,
): OfferedGrant {
  const shape = readBody(ImportShape, body);
  const { refresh_token, access_token: accessToken = null, expires_in: expiresIn = null } = shape;
  if (expiresIn !== null && accessToken === null) {
    throw invalid('expires_in', 'goes with access_token: it says how long that one lives');
  }
  return {
    grant: keep(refresh_token),
    credential: new Secret(refresh_token),
    madeByHand: false,
    token:
      accessToken === null
        ? null
        : {
            accessToken: new Secret(accessToken),
            tokenType: 'Bearer',
            lifetimeSeconds: expiresIn ?? fallbackSeconds,
            lifetimeAssumed: expiresIn === null,
          },
    scopes: shape.scopes ?? null,
    verify: false,
    paused: shape.paused ?? false,
  };
}
