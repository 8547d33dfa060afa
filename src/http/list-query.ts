import { Transform } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { Field } from '../shared/schema.js';

/** How many there are on a page where nothing is said. */
export const DEFAULT_LIMIT = 50;

/** What the query of a list may always say: where to go on, and how far. */
export class ListQuery {
  @IsOptional()
  @IsString()
  @MaxLength(128)
  @Field({}, 'The `next_cursor` of the page before.')
  cursor?: string;

  @Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^\d{1,3}$/.test(value) ? Number(value) : value,
  )
  @IsOptional()
  @IsInt({ message: 'must be given once, as a whole number from 1 to 200' })
  @Min(1)
  @Max(200)
  @Field({ default: DEFAULT_LIMIT })
  limit?: number;
}
