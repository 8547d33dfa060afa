import { Transform } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsNotEmpty,
  IsNumber,
  IsOptional,
  IsString,
  IsUrl,
  Matches,
  Max,
  MaxLength,
  Min,
} from 'class-validator';

const WEB_ADDRESS = {
  protocols: ['http', 'https'],
  require_protocol: true,
  require_tld: false,
  disallow_auth: true,
  allow_query_components: false,
  allow_fragments: false,
};
const DURATION = /^\d{1,9}(ms|s|m|h|d)$/;

/** Texts become numbers where a number is meant: `${KONNECT_TOKEN_TTL}` arrives as text. */
const NumberFromText = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value,
  );

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

/** What every provider in `PROVIDERS_FILE` may say; the names are those of the file. */
export class ProviderShape {
  @IsString() kind!: string;
  @IsUrl(WEB_ADDRESS, { message: 'must be an http(s) address without user, query or fragment' })
  base_url!: string;
  @IsOptional() @IsIn(['none', 'grace', 'strict', 'unknown']) rotation?: Rotation;
  @IsOptional() @IsArray() @IsString({ each: true }) dead_grant_codes?: string[];
  @IsOptional() @Matches(DURATION, { message: 'must be a duration like 10s' }) timeout?: string;
  @IsOptional() @Matches(/^[1-9]\d{0,5}\/s$/, { message: 'must be a rate like 50/s' }) rate?: string;
  @IsOptional() @IsInt() @Min(1) @Max(1_000) concurrency?: number;
  @IsOptional()
  @IsArray()
  @ArrayMinSize(2)
  @ArrayMaxSize(2)
  @IsNumber({}, { each: true })
  @Min(0.1, { each: true })
  @Max(0.95, { each: true })
  renew_between?: [number, number];
  @IsOptional() @IsBoolean() allow_private?: boolean;
  @IsOptional()
  @IsUrl(WEB_ADDRESS, { message: 'must be an http(s) address without user, query or fragment' })
  public_url?: string;
}

export class FyndPlatformShape extends ProviderShape {
  @IsString() @IsNotEmpty() @MaxLength(200) api_key!: string;
  @IsString() @IsNotEmpty() @MaxLength(1_000) api_secret!: string;
  @ListFromText() @IsOptional() @IsArray() @IsString({ each: true }) scopes?: string[];
  @IsOptional()
  @IsIn(['offline'], { message: 'must be offline: online sessions are not served by this release' })
  access_mode?: 'offline';
  @IsOptional() @IsIn(['auto', 'document', 'library']) renewal?: FyndRenewal;
  @Transform(({ value }: { value: unknown }) => (value === '' ? undefined : value))
  @IsOptional()
  @IsUrl(WEB_ADDRESS, { message: 'must be an http(s) address without user, query or fragment' })
  ui_url?: string;
}

export class KonnectShape extends ProviderShape {
  @IsOptional()
  @Matches(/^\/[A-Za-z0-9/._~-]*$/, { message: 'must be a path that begins with /' })
  token_path?: string;
  @IsOptional() @IsIn(['GET', 'POST']) method?: 'GET' | 'POST';
  @IsOptional() @IsIn(['query', 'body']) credentials_in?: 'query' | 'body';
  @NumberFromText() @IsOptional() @IsInt() @Min(1) @Max(315_360_000) token_ttl?: number;
}

/** May the same refresh token be sent twice? `none` and `grace`: yes; `strict` and `unknown`: no. */
export type Rotation = 'none' | 'grace' | 'strict' | 'unknown';

/** Which of Fynd Platform's two renewal shapes to speak; `auto` finds out and remembers. */
export type FyndRenewal = 'auto' | 'document' | 'library';
