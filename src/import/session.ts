import { createHash } from 'node:crypto';
import { idFromJson } from '../shared/ids.js';
import { Secret } from '../shared/secret.js';
import { mistake, type Found, type Line } from './entry.js';

/** Which sessions of a store are meant. */
export interface SessionFilter {
  /** The `prefixKey` that the extension gave to its storage. */
  readonly prefix?: string;
  /** Its `api_key`. */
  readonly extension?: string;
  /** Fynd's address as the extension has it: keys of offline sessions are made from it. */
  readonly cluster?: string;
}

/** A session as Fynd's extension library keeps it. */
type Session = Readonly<Record<string, unknown>>;

const OFFLINE_KEY = /[0-9a-f]{64}$/;
const TOKEN = /^[\x21-\x7e]{1,16384}$/;
const SCOPE = /^[\x21-\x7e]{1,256}$/;
const MOST_SCOPES = 200;
/** The longest life that the broker takes, in seconds: ten years. */
const LONGEST_S = 315_360_000;

/** What a value of the store is, and what is wrong with it. No message quotes a value. */
export function readSession(line: Line, key: string | null, value: unknown, filter: SessionFilter): Found {
  if (filter.prefix !== undefined && key !== null && !key.startsWith(`${filter.prefix}:`))
    return { kind: 'skipped', line, reason: 'another_prefix' };
  if (!isSession(value)) return { kind: 'skipped', line, reason: 'no_session' };
  if (filter.extension !== undefined && (value['extension_id'] ?? filter.extension) !== filter.extension)
    return { kind: 'skipped', line, reason: 'another_extension' };
  if (value['access_mode'] === 'online' || !isOffline(key, value))
    return { kind: 'skipped', line, reason: 'online' };
  if (isAbsent(value['company_id']) && !isAbsent(value['organization_id']))
    return { kind: 'skipped', line, reason: 'partner' };
  const companyId = idFromJson(value['company_id']);
  if (companyId === undefined)
    return mistake(line, 'company_id must be 1 to 64 of A-Z a-z 0-9 . _ -, or a number');
  if (filter.cluster !== undefined && key !== null && !isOf(filter.cluster, companyId, key))
    return { kind: 'skipped', line, reason: 'another_cluster' };
  if (isAbsent(value['refresh_token'])) return { kind: 'skipped', line, reason: 'without_refresh_token' };
  return readGrant(line, companyId, value);
}

/** Every session has these, whatever has become of it. */
function isSession(value: unknown): value is Session {
  return typeof value === 'object' && value !== null && 'company_id' in value && 'access_token' in value;
}

/** The library forgets the mode with the first renewal; but then, users' tokens are never renewed, nor named by a hash. */
function isOffline(key: string | null, { access_mode: mode, refresh_token: refreshToken }: Session): boolean {
  return mode === 'offline' || !isAbsent(refreshToken) || OFFLINE_KEY.test(key ?? '');
}

function isAbsent(value: unknown): boolean {
  return value === null || value === undefined || value === '';
}

/** The library names an offline session by the hash of its cluster and company. */
function isOf(cluster: string, companyId: string, key: string): boolean {
  return key.endsWith(createHash('sha256').update(`${cluster}:${companyId}`).digest('hex'));
}

function readGrant(line: Line, companyId: string, session: Session): Found {
  const { refresh_token: refreshToken, access_token: accessToken, scope, extension_id: extension } = session;
  if (!isToken(refreshToken))
    return mistake(line, 'refresh_token is no token: printable ASCII without spaces');
  if (!isAbsent(accessToken) && !isToken(accessToken))
    return mistake(line, 'access_token is no token: printable ASCII without spaces');
  const scopes = isAbsent(scope) ? null : scope;
  if (scopes !== null && !isScopes(scopes)) return mistake(line, 'scope must be a list of scopes');
  const endsAt = isAbsent(session['access_token_validity']) ? null : timeOf(session['access_token_validity']);
  if (endsAt === undefined) return mistake(line, 'access_token_validity must be a time in milliseconds');
  const refresh = new Secret(refreshToken);
  const access = isToken(accessToken) ? new Secret(accessToken) : null;
  const entry = {
    line,
    companyId,
    locationId: null,
    isGrant: true,
    endsAt,
    offer: (now: Date) => ({
      refresh_token: refresh.reveal(),
      ...tokenAt(now, access, endsAt),
      ...(scopes === null ? {} : { scopes }),
      paused: true,
    }),
  };
  return { kind: 'entry', entry, ...(typeof extension === 'string' ? { extension } : {}) };
}

/** A token that has ended is not worth keeping: its grant is. */
function tokenAt(now: Date, access: Secret | null, endsAt: Date | null): Record<string, unknown> {
  if (access === null) return {};
  if (endsAt === null) return { access_token: access.reveal() };
  const left = Math.min(Math.floor((endsAt.getTime() - now.getTime()) / 1_000), LONGEST_S);
  return left < 1 ? {} : { access_token: access.reveal(), expires_in: left };
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && TOKEN.test(value);
}

function isScopes(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length <= MOST_SCOPES &&
    value.every((scope) => typeof scope === 'string' && SCOPE.test(scope))
  );
}

/** Milliseconds, as a number or its text. */
function timeOf(value: unknown): Date | undefined {
  const time = new Date(typeof value === 'string' ? Number(value) : (value as number));
  return typeof value === 'object' || Number.isNaN(time.getTime()) ? undefined : time;
}
