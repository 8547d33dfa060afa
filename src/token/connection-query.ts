import { Transform } from 'class-transformer';
import {
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Max,
  Min,
  Validate,
  ValidatorConstraint,
  type ValidatorConstraintInterface,
} from 'class-validator';
import { isId, isUuid } from '../shared/ids.js';
import { invalid } from '../shared/problem.js';
import { STATUSES, type ConnectionStatus } from './connection.js';

@ValidatorConstraint({ name: 'isId' })
class IsId implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return typeof value === 'string' && isId(value);
  }

  defaultMessage(): string {
    return 'must be given once, as 1 to 64 of A-Z a-z 0-9 . _ -';
  }
}

/** The query of the list of connections. */
export class ConnectionQuery {
  @IsOptional() @Validate(IsId) provider?: string;
  @IsOptional() @Validate(IsId) company_id?: string;
  @IsOptional() @Validate(IsId) location_id?: string;
  @IsOptional() @IsIn(STATUSES) status?: ConnectionStatus;
  @IsOptional()
  @IsIn(['due', 'overdue'], { message: 'must be due or overdue' })
  rotation?: 'due' | 'overdue';
  @IsOptional() @IsString() cursor?: string;
  @Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^\d{1,3}$/.test(value) ? Number(value) : value,
  )
  @IsOptional()
  @IsInt({ message: 'must be given once, as a whole number from 1 to 200' })
  @Min(1)
  @Max(200)
  limit?: number;
}

/** A cursor names the last connection of the page before; it is opaque to callers. */
export function writeCursor(lastId: string): string {
  return Buffer.from(lastId).toString('base64url');
}

/** Throws Problem `invalid_request` where the text is no cursor of ours. */
export function readCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString();
  if (isUuid(id) && writeCursor(id) === cursor) return id;
  throw invalid('cursor', 'must be the next_cursor of a page before');
}
