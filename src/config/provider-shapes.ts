import 'reflect-metadata';
import { Transform, Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsNotEmpty,
  IsNumber,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';
import { IsAddress, IsEndpoint } from './web-address.js';

const DURATION = /^\d{1,9}(ms|s|m|h|d)$/;

/** Texts become numbers where a number is meant: `${KONNECT_TOKEN_TTL}` arrives as text. */
const NumberFromText = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value,
  );

/** A variable can only be a text; anything but these two is for the validator to refuse. */
const BooleanFromText = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value));

/** Lists may be written as YAML lists or, from a variable, separated by commas. */
const ListFromText = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((item) => item.trim())
          .filter((item) => item !== '')
      : value,
  );

/** A variable that is not set leaves an empty text behind: the same as nothing. */
const EmptyIsAbsent = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) => (value === '' ? undefined : value));

/** Codes may be written as numbers, as Connect's are. */
const TextsFromNumbers = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) =>
    Array.isArray(value)
      ? value.map((item: unknown) => (typeof item === 'number' ? String(item) : item))
      : value,
  );

/** How a token travels to the provider. */
export class HeaderShape {
  @Matches(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, { message: 'must be the name of a header' })
  name!: string;
  @IsOptional()
  @Matches(/^[A-Za-z0-9._~+/-]{0,40}$/, { message: 'must be a scheme like Bearer' })
  scheme?: string;
}

const A_HEADER = 'must be a map like { name: Authorization, scheme: Bearer }';

/** A map; a list of them would pass as one, and be read as nothing. */
const IsHeader = (): PropertyDecorator => (target, property) => {
  for (const rule of [
    Type(() => HeaderShape),
    ValidateNested({ message: A_HEADER }),
    IsObject({ message: A_HEADER }),
    IsOptional(),
  ])
    rule(target, property);
};

/** What every provider in `PROVIDERS_FILE` may say; the names are those of the file. */
export class ProviderShape {
  @IsString() kind!: string;
  @IsOptional() @IsIn(['none', 'grace', 'strict', 'unknown']) rotation?: Rotation;
  @IsOptional() @Matches(DURATION, { message: 'must be a duration like 30s' }) rotation_grace?: string;
  @TextsFromNumbers() @IsOptional() @IsArray() @IsString({ each: true }) dead_grant_codes?: string[];
  @TextsFromNumbers() @IsOptional() @IsArray() @IsString({ each: true }) client_error_codes?: string[];
  @IsOptional() @Matches(DURATION, { message: 'must be a duration like 90d' }) rotate_after?: string;
  @IsOptional() @Matches(DURATION, { message: 'must be a duration like 10s' }) timeout?: string;
  @IsOptional() @Matches(/^[1-9]\d{0,5}\/s$/, { message: 'must be a rate like 50/s' }) rate?: string;
  @NumberFromText() @IsOptional() @IsInt() @Min(1) @Max(1_000) concurrency?: number;
  @IsOptional()
  @IsArray()
  @ArrayMinSize(2)
  @ArrayMaxSize(2)
  @IsNumber({}, { each: true })
  @Min(0.1, { each: true })
  @Max(0.95, { each: true })
  renew_between?: [number, number];
  @BooleanFromText() @IsOptional() @IsBoolean() allow_private?: boolean;
  @EmptyIsAbsent() @IsOptional() @IsAddress() public_url?: string;
}

export class FyndPlatformShape extends ProviderShape {
  @IsAddress() base_url!: string;
  @IsString() @IsNotEmpty() @MaxLength(200) api_key!: string;
  @IsString() @IsNotEmpty() @MaxLength(1_000) api_secret!: string;
  @ListFromText() @IsOptional() @IsArray() @IsString({ each: true }) scopes?: string[];
  @IsOptional() @IsIn(['offline', 'online', 'both']) access_mode?: FyndAccessMode;
  @IsOptional() @IsIn(['auto', 'document', 'library']) renewal?: FyndRenewal;
  @EmptyIsAbsent() @IsOptional() @IsAddress() ui_url?: string;
  @BooleanFromText() @IsOptional() @IsBoolean() auto_install?: boolean;
}

export class KonnectShape extends ProviderShape {
  @IsAddress() base_url!: string;
  @IsOptional()
  @Matches(/^\/[A-Za-z0-9/._~-]*$/, { message: 'must be a path that begins with /' })
  token_path?: string;
  @IsOptional() @IsIn(['GET', 'POST']) method?: 'GET' | 'POST';
  @IsOptional() @IsIn(['query', 'body']) credentials_in?: 'query' | 'body';
  @NumberFromText() @IsOptional() @IsInt() @Min(1) @Max(315_360_000) token_ttl?: number;
}

export class OAuth2Shape extends ProviderShape {
  @EmptyIsAbsent() @IsOptional() @IsAddress() base_url?: string;
  @EmptyIsAbsent() @IsOptional() @IsAddress() issuer?: string;
  @EmptyIsAbsent() @IsOptional() @IsEndpoint() authorize_url?: string;
  @EmptyIsAbsent() @IsOptional() @IsEndpoint() token_url?: string;
  @EmptyIsAbsent() @IsOptional() @IsEndpoint() revocation_url?: string;
  @IsString() @IsNotEmpty() @MaxLength(500) client_id!: string;
  @IsOptional() @IsString() @IsNotEmpty() @MaxLength(2_000) client_secret?: string;
  @Transform(({ value }: { value: unknown }) =>
    Array.isArray(value) ? value.filter((item) => item !== '') : value,
  )
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(5)
  @IsString({ each: true })
  @IsNotEmpty({ each: true })
  client_secrets?: string[];
  @IsOptional() @IsIn(['basic', 'basic_encoded', 'body']) client_auth?: ClientAuth;
  @IsOptional() @IsIn(['form', 'json']) body?: 'form' | 'json';
  @IsOptional() @IsIn(['authorization_code', 'client_credentials']) grant?: OAuth2Grant;
  @ListFromText() @IsOptional() @IsArray() @IsString({ each: true }) scopes?: string[];
  @IsOptional() @IsString() @IsIn([' ', ',']) scope_separator?: string;
  @BooleanFromText() @IsOptional() @IsBoolean() pkce?: boolean;
  @IsOptional() @IsObject() authorize_params?: Record<string, unknown>;
  @IsOptional() @IsObject() token_params?: Record<string, unknown>;
  @BooleanFromText() @IsOptional() @IsBoolean() refresh_with_redirect_uri?: boolean;
  @NumberFromText() @IsOptional() @IsInt() @Min(1) @Max(315_360_000) token_ttl?: number;
  @IsHeader() header?: HeaderShape;
  @EmptyIsAbsent() @IsOptional() @IsAddress() ui_url?: string;
}

export class PortalShape extends ProviderShape {
  @EmptyIsAbsent() @IsOptional() @IsAddress() base_url?: string;
  @IsHeader() header?: HeaderShape;
}

/** May the same refresh token be sent twice? `none`: yes; `grace`: for a while; `strict` and `unknown`: no. */
export type Rotation = 'none' | 'grace' | 'strict' | 'unknown';

/** Which of Fynd Platform's two renewal shapes to speak; `auto` finds out and remembers. */
export type FyndRenewal = 'auto' | 'document' | 'library';

/** Whose tokens an extension holds: the company's, each user's, or both. */
export type FyndAccessMode = 'offline' | 'online' | 'both';

/** How the client proves itself: the raw pair in base64, the same form-encoded first (RFC 6749 2.3.1), or in the body. */
export type ClientAuth = 'basic' | 'basic_encoded' | 'body';

export type OAuth2Grant = 'authorization_code' | 'client_credentials';
