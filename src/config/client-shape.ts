import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsObject,
  IsOptional,
  IsString,
  Length,
  Matches,
  Validate,
  ValidateNested,
  ValidatorConstraint,
  type ValidatorConstraintInterface,
} from 'class-validator';
import { isUuid } from '../shared/ids.js';
import { ACTIONS, isAction, isResourcePattern, type Permission } from '../shared/permission.js';
import { IsTime } from '../shared/is-time.js';
import { Field, list, oneOf, text } from '../shared/schema.js';

/** What a client is to be. */
export interface ClientDefinition {
  readonly name: string;
  readonly permissions: readonly Permission[];
  readonly workload: Workload | null;
  readonly expiresAt: Date | null;
}

/** A platform's own name for a service: it vouches for it by signing its tokens. */
export interface Workload {
  readonly issuer: string;
  readonly subject: string;
}

const MOST_PERMISSIONS = 200;
/** A pattern of three ids. */
export const LONGEST_RESOURCE = 256;

@ValidatorConstraint({ name: 'isAction' })
class IsAction implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return isAction(value);
  }

  defaultMessage(): string {
    return 'must be an action, such as token:read, or * for all';
  }
}

@ValidatorConstraint({ name: 'isResourcePattern' })
class IsResourcePattern implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return typeof value === 'string' && value.length <= LONGEST_RESOURCE && isResourcePattern(value);
  }

  defaultMessage(): string {
    return 'must be {provider}/companies/{id} or {provider}/companies/{id}/locations/{id}, * for one whole segment, ** at the end for all below';
  }
}

/** Who else stands in the trail as an actor; a search there takes a client's name for an id, and people take one for the other. */
const OTHER_ACTORS = ['admin', 'broker', 'seller'];

@ValidatorConstraint({ name: 'isNobodyElse' })
class IsNobodyElse implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    if (typeof value !== 'string') return true;
    const name = value.trim().toLowerCase();
    return !OTHER_ACTORS.includes(name) && !isUuid(name);
  }

  defaultMessage(): string {
    return 'must not be admin, broker, seller or a UUID: the trail would name two alike';
  }
}

export class PermissionShape {
  @Validate(IsAction) @Field(oneOf([...ACTIONS, '*']), '`*` is all of them.') action!: Permission['action'];
  @Validate(IsResourcePattern)
  @Field(
    { ...text('konnect/companies/42/**'), maxLength: LONGEST_RESOURCE },
    'A company or a location; `*` stands for one whole segment, `**` at the end for all below, and alone for everything.',
  )
  resource!: string;
}

export class WorkloadShape {
  @IsString() @Length(1, 2_048) @Field({ examples: ['https://kubernetes.default.svc'] }) issuer!: string;
  @IsString()
  @Length(1, 1_024)
  @Field({ examples: ['system:serviceaccount:shop:orders'] })
  subject!: string;
}

/** What makes a client: the body of a request, and an entry of CLIENTS_FILE. */
export class ClientShape {
  @Matches(/^[\x20-\x7e]{1,128}$/, { message: 'must be 1 to 128 printable ASCII characters' })
  @Validate(IsNobodyElse)
  @Field(
    { examples: ['orders'] },
    'Not `admin`, `broker`, `seller` or a UUID, which are others in the trail.',
  )
  name!: string;

  @IsArray()
  @ArrayMaxSize(MOST_PERMISSIONS)
  // A list in the list has nothing to be nested in, and would pass.
  @IsObject({ each: true, message: 'must be a list of objects' })
  @ValidateNested({ each: true })
  @Type(() => PermissionShape)
  @Field(list(PermissionShape))
  permissions!: PermissionShape[];

  @IsOptional() @IsTime() expires_at?: string | null;

  @IsOptional()
  @IsObject({ message: 'must be an object' })
  @ValidateNested()
  @Type(() => WorkloadShape)
  @Field(WorkloadShape, 'Who speaks for this client with a JWT of its own; then it has no key.')
  workload?: WorkloadShape | null;
}
