import {
  IsIn,
  IsOptional,
  Validate,
  ValidatorConstraint,
  type ValidatorConstraintInterface,
} from 'class-validator';
import { ListQuery } from '../http/list-query.js';
import { isId } from '../shared/ids.js';
import type { Permissions } from '../shared/permission.js';
import { Field } from '../shared/schema.js';
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
export class ConnectionQuery extends ListQuery {
  @IsOptional() @Validate(IsId) @Field({ examples: ['konnect'] }) provider?: string;
  @IsOptional() @Validate(IsId) @Field({ examples: ['42'] }) company_id?: string;
  @IsOptional() @Validate(IsId) location_id?: string;
  @IsOptional() @IsIn(STATUSES) status?: ConnectionStatus;
  @IsOptional()
  @IsIn(['due', 'overdue'], { message: 'must be due or overdue' })
  rotation?: 'due' | 'overdue';
}

/** What a list holds. */
export interface ListFilter {
  readonly provider: string | null;
  readonly companyId: string | null;
  readonly locationId: string | null;
  readonly status: string | null;
  readonly rotation: 'due' | 'overdue' | null;
  readonly afterId: string | null;
  readonly limit: number;
  /** Whose list it is: it shows what that caller may read. */
  readonly permissions: Permissions;
}
