import { Transform } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsString, IsUUID, Matches, Max, MaxLength, Min } from 'class-validator';
import { isUuid } from '../shared/ids.js';
import { IsTime } from '../shared/is-time.js';
import { Field } from '../shared/schema.js';
import { invalid, type Problem } from '../shared/problem.js';
import { OUTCOMES, TRACED_ACTIONS, type AuditEvent } from './audit-event.js';

const ACTOR = { message: "must be given once, as a client's id or name, admin, seller or broker" };

const NumberFromText = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value,
  );

/** Which page of what was found, and when that was. */
class PageQuery {
  @IsOptional() @IsTime() from?: string;
  @IsOptional() @IsTime() to?: string;
  @IsOptional() @IsString() @MaxLength(128) cursor?: string;
  @NumberFromText()
  @IsOptional()
  @IsInt({ message: 'must be given once, as a whole number from 1 to 200' })
  @Min(1)
  @Max(200)
  limit?: number;
}

/** The query of the trail. */
export class AuditQuery extends PageQuery {
  @IsOptional() @Matches(/^[\x20-\x7e]{1,200}$/, ACTOR) actor?: string;
  @IsOptional() @IsIn(TRACED_ACTIONS) action?: AuditEvent['action'];
  @IsOptional() @IsIn(OUTCOMES) outcome?: AuditEvent['outcome'];
  @IsOptional() @IsUUID('all', { message: 'must be a UUID, given once' }) connection_id?: string;
  @NumberFromText()
  @IsOptional()
  @IsInt({ message: 'must be given once, as a whole number' })
  @Min(0)
  @Max(2_147_483_647)
  token_version?: number;
}

/** The query of what somebody has got. */
export class ExposureQuery extends PageQuery {
  @Matches(/^[\x20-\x7e]{1,200}$/, ACTOR)
  @Field(
    { examples: ['orders'] },
    'The id or name of a client that is or was, `admin`, `broker` or `seller`.',
  )
  actor!: string;
}

/** Where a page ended: microseconds since 1970, and the id of the event. */
export interface Place {
  readonly us: string;
  readonly id: string;
}

/** A cursor is opaque to callers. */
export function writeCursor({ us, id }: Place): string {
  return encode(us, id);
}

/** Throws Problem `invalid_request` where the text is no cursor of ours. */
export function readCursor(cursor: string): Place {
  const [us = '', id = ''] = decode(cursor);
  if (/^\d{1,16}$/.test(us) && isUuid(id) && encode(us, id) === cursor) return { us, id };
  throw noCursor();
}

/** Sorted like a connection's id, after all of those. */
export const LAST_CONNECTION = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** A token that somebody got, in the order in which those are told: of sessions, then of connections, the newest first. */
export interface TokenPlace {
  readonly connection_id: string | null;
  readonly token_version: number;
  readonly token_fingerprint: string;
}

/** Before all of them. */
export const FIRST_TOKEN: TokenPlace = {
  connection_id: null,
  token_version: 2_147_483_647,
  token_fingerprint: '',
};

export function writeTokenCursor({
  connection_id: id,
  token_version: version,
  ...token
}: TokenPlace): string {
  return encode(id ?? LAST_CONNECTION, String(version), token.token_fingerprint);
}

/** Throws Problem `invalid_request` where the text is no cursor of ours. */
export function readTokenCursor(cursor: string): TokenPlace {
  const [id = '', version = '', fingerprint = ''] = decode(cursor);
  const isOurs = isUuid(id) && /^\d{1,9}$/.test(version) && /^[\da-f]{1,64}$/.test(fingerprint);
  if (!isOurs || encode(id, version, fingerprint) !== cursor) throw noCursor();
  return { connection_id: id, token_version: Number(version), token_fingerprint: fingerprint };
}

function encode(...parts: string[]): string {
  return Buffer.from(parts.join('.')).toString('base64url');
}

function decode(cursor: string): string[] {
  return Buffer.from(cursor, 'base64url').toString().split('.');
}

function noCursor(): Problem {
  return invalid('cursor', 'must be the next_cursor of a page before');
}
