import { applyDecorators } from '@nestjs/common';
import { IsISO8601, Matches, MaxLength } from 'class-validator';
import { Field } from './schema.js';

/** A time of day with its zone, in the one form of ISO 8601 that everybody reads, also PostgreSQL and `Date`. */
const FORM = /^\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;
const message = 'must be given once, as a time such as 2027-01-31T00:00:00Z, with its zone';

/** A time that exists. `new Date` reads it. */
export const IsTime = (description?: string): PropertyDecorator =>
  applyDecorators(
    IsISO8601({ strict: true }, { message }),
    Matches(FORM, { message }),
    MaxLength(40, { message }),
    Field({ examples: ['2027-01-31T00:00:00Z'] }, description),
  );
