import { IsIn, IsInt, IsOptional, IsString, Length, Max, Min } from 'class-validator';
import { LONGEST_RESOURCE } from '../config/client-shape.js';
import { ListQuery } from '../http/list-query.js';
import { IsTime } from '../shared/is-time.js';
import { ACTIONS, EVERYTHING, isResource, type Action } from '../shared/permission.js';
import { invalid } from '../shared/problem.js';
import { Field } from '../shared/schema.js';

/** Seconds that former keys go on working where nothing is said. */
export const OVERLAP_S = 3_600;
const WEEK_S = 604_800;
const MOST_YEARS = 10;

/** The body that gives a client another key. */
export class RotationShape {
  @IsOptional()
  @IsInt({ message: 'must be a whole number of seconds from 0 to 604800' })
  @Min(0)
  @Max(WEEK_S)
  @Field({ default: OVERLAP_S }, 'Seconds that the old keys keep working.')
  overlap?: number;

  @IsOptional() @IsTime() expires_at?: string | null;
}

/** The query of the list of clients: all, or those who may do something. */
export class ClientQuery extends ListQuery {
  @IsOptional() @IsIn(ACTIONS) @Field({}, 'Those who may do this to `resource`.') can?: Action;
  @IsOptional()
  @IsString()
  @Length(1, LONGEST_RESOURCE)
  @Field({ examples: ['konnect/companies/42'] })
  resource?: string;
}

/** When a key or a client ends; null where nothing is said. Throws Problem `invalid_request` for what is past, or too far. */
export function readEnd(text: string | null | undefined, now: Date): Date | null {
  if (text === undefined || text === null) return null;
  const end = new Date(text);
  const latest = new Date(now);
  latest.setUTCFullYear(latest.getUTCFullYear() + MOST_YEARS);
  if (end > now && end <= latest) return end;
  throw invalid('expires_at', `must be in the future, and at most ${MOST_YEARS} years away`);
}

/** What the list is to tell: who may do `can` to `resource`. Undefined: everybody. */
export function readQuestion({
  can,
  resource,
}: ClientQuery): { action: Action; resource: string } | undefined {
  if (can === undefined && resource === undefined) return undefined;
  if (can === undefined) throw invalid('can', 'must be given together with resource');
  if (resource === undefined || !(resource === EVERYTHING || isResource(resource)))
    throw invalid(
      'resource',
      'must be one company or location, such as konnect/companies/42, or ** for what is about neither',
    );
  return { action: can, resource };
}
