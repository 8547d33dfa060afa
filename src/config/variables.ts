import { Transform } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsString, Matches, Max, Min } from 'class-validator';
import { IsAddress } from './web-address.js';

const LISTENER = 'must be a port from 0 to 65535 (0 picks a free one) or off';

const SECONDS_AWAY = 'must be a whole number of seconds, from 0 (never) to 3600';

const SECONDS_STOPPING = 'must be a whole number of seconds, from 0 to 60';

const ROWS_A_SECOND = 'must be a whole number of rows, from 1 to 100000';
const SHARE = 'must be a number from 0 to 1: the part of traces that are recorded';

const DAYS = 'must be a whole number of days, from 1 to 3650';

/** `off` becomes null, digits a number; anything else stays for the validator to refuse. */
const PortFromText = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) => {
    if (value === 'off') return null;
    return typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value;
  });

const BooleanFromText = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value));

const SwitchFromText = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) => (value === 'on' ? true : value === 'off' ? false : value));

const NumberFromText = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : value,
  );

/** The plain variables that the broker reads, with their defaults. Secrets are read apart, see settings.ts. */
export class Variables {
  @IsIn(['production', 'development'], { message: 'must be production or development' })
  NODE_ENV: 'production' | 'development' = 'production';

  @IsOptional()
  @Matches(/^[A-Za-z0-9.:_-]+$/, { message: 'must be an address or a host name' })
  HOST?: string;

  @PortFromText()
  @IsOptional()
  @IsInt({ message: LISTENER })
  @Min(0, { message: LISTENER })
  @Max(65_535, { message: LISTENER })
  PORT: number | null = 8_080;

  @PortFromText()
  @IsOptional()
  @IsInt({ message: LISTENER })
  @Min(0, { message: LISTENER })
  @Max(65_535, { message: LISTENER })
  PUBLIC_PORT: number | null = 8_081;

  @PortFromText()
  @IsOptional()
  @IsInt({ message: LISTENER })
  @Min(0, { message: LISTENER })
  @Max(65_535, { message: LISTENER })
  OPS_PORT: number | null = null;

  @BooleanFromText() @IsIn([true, false], { message: 'must be true or false' }) SHARE_PORTS = false;

  @IsOptional() @IsString() TLS_CERT_FILE?: string;
  @IsOptional() @IsString() TLS_KEY_FILE?: string;

  @IsOptional()
  @Matches(/^[0-9a-fA-F.:/]+(\s*,\s*[0-9a-fA-F.:/]+)*$/, {
    message: 'must be addresses or networks (10.0.0.0/8), separated by commas',
  })
  TRUSTED_PROXIES?: string;

  @IsOptional() @IsAddress() PUBLIC_URL?: string;

  @IsOptional() @IsString() DATABASE_CA_FILE?: string;

  /** Beside these, a replica has 3 for the public listener, and one that listens. */
  @NumberFromText()
  @IsInt({ message: 'must be a whole number' })
  @Min(2, { message: 'must be at least 2' })
  @Max(500, { message: 'must be at most 500' })
  DATABASE_POOL = 10;

  @SwitchFromText() @IsIn([true, false], { message: 'must be on or off' }) DATABASE_NAMED_STATEMENTS = true;

  @SwitchFromText() @IsIn([true, false], { message: 'must be on or off' }) DATABASE_NOTIFICATIONS = true;

  @BooleanFromText() @IsIn([true, false], { message: 'must be true or false' }) MIGRATE_ON_START = true;

  /** About 1.5 KB each. */
  @NumberFromText()
  @IsInt({ message: 'must be a whole number' })
  @Min(1, { message: 'must be at least 1' })
  @Max(900_000, { message: 'must be at most 900000' })
  CACHED_TOKENS = 100_000;

  @NumberFromText()
  @IsInt({ message: SECONDS_AWAY })
  @Min(0, { message: SECONDS_AWAY })
  @Max(3_600, { message: SECONDS_AWAY })
  SERVE_WITHOUT_DATABASE = 300;

  @NumberFromText()
  @IsInt({ message: SECONDS_STOPPING })
  @Min(0, { message: SECONDS_STOPPING })
  @Max(60, { message: SECONDS_STOPPING })
  SERVE_WHILE_STOPPING = 0;

  @BooleanFromText() @IsIn([true, false], { message: 'must be true or false' }) ALLOW_INSECURE_HTTP = false;

  @IsOptional() @IsString() PROVIDERS_FILE?: string;

  @NumberFromText()
  @IsInt({ message: DAYS })
  @Min(1, { message: DAYS })
  @Max(3_650, { message: DAYS })
  AUDIT_RETENTION_DAYS = 400;

  @BooleanFromText() @IsIn([true, false], { message: 'must be true or false' }) AUDIT_STDOUT = false;

  /** Rows a second that each replica seals anew, once another data key is in use. */
  @NumberFromText()
  @IsInt({ message: ROWS_A_SECOND })
  @Min(1, { message: ROWS_A_SECOND })
  @Max(100_000, { message: ROWS_A_SECOND })
  KEY_ROTATION_RATE = 500;

  @IsOptional() @IsAddress() AWS_KMS_ENDPOINT?: string;
  @IsOptional() @IsAddress() VAULT_ADDR?: string;
  @IsOptional() @IsString() VAULT_CACERT?: string;

  @IsOptional()
  @Matches(/^[\w.-]+(\/[\w.-]+)*\/?$/, { message: 'must be the path of a namespace' })
  VAULT_NAMESPACE?: string;

  @Matches(/^[\w.-]+(\/[\w.-]+)*$/, { message: 'must be the path at which transit is mounted' })
  VAULT_TRANSIT_MOUNT = 'transit';
  @IsOptional() @IsAddress() OTEL_EXPORTER_OTLP_ENDPOINT?: string;

  @Matches(/^[\w.-]{1,100}$/, { message: 'must be a name of letters, digits, dots, dashes and underscores' })
  OTEL_SERVICE_NAME = 'token-broker';

  @Matches(/^(0(\.\d{1,9})?|1(\.0{1,9})?)$/, { message: SHARE }) OTEL_TRACES_SAMPLER_ARG = '1';

  @IsIn(['debug', 'info', 'warn', 'error'], { message: 'must be debug, info, warn or error' })
  LOG_LEVEL: 'debug' | 'info' | 'warn' | 'error' = 'info';
}

export const VARIABLE_NAMES = [
  'NODE_ENV',
  'HOST',
  'PORT',
  'PUBLIC_PORT',
  'OPS_PORT',
  'SHARE_PORTS',
  'TLS_CERT_FILE',
  'TLS_KEY_FILE',
  'TRUSTED_PROXIES',
  'PUBLIC_URL',
  'DATABASE_CA_FILE',
  'DATABASE_POOL',
  'DATABASE_NAMED_STATEMENTS',
  'DATABASE_NOTIFICATIONS',
  'MIGRATE_ON_START',
  'CACHED_TOKENS',
  'SERVE_WITHOUT_DATABASE',
  'SERVE_WHILE_STOPPING',
  'ALLOW_INSECURE_HTTP',
  'PROVIDERS_FILE',
  'AUDIT_RETENTION_DAYS',
  'AUDIT_STDOUT',
  'KEY_ROTATION_RATE',
  'AWS_KMS_ENDPOINT',
  'VAULT_ADDR',
  'VAULT_CACERT',
  'VAULT_NAMESPACE',
  'VAULT_TRANSIT_MOUNT',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_SERVICE_NAME',
  'OTEL_TRACES_SAMPLER_ARG',
  'LOG_LEVEL',
] as const satisfies readonly (keyof Variables)[];
