import { IsIn, IsInt, IsPositive, Max } from 'class-validator';
import { Problem } from '../shared/problem.js';
import { Field } from '../shared/schema.js';

/** What a caller tells when a provider has refused a token. */
export class ReportShape {
  @IsInt()
  @IsPositive()
  @Max(2_147_483_647)
  @Field({ examples: [7] }, 'Of the token that was refused.')
  version!: number;
  @IsIn([401, 403], { message: 'must be 401, or 403 to learn why that does not help' })
  @Field({ examples: [401] }, 'What the provider answered.')
  status!: number;
}

/** Throws Problem `not_renewable` for a 403. */
export function checkReport({ status }: ReportShape): void {
  if (status === 403) {
    throw new Problem(
      'not_renewable',
      'A 403 is about permission and not about age: a new token would not help.',
    );
  }
}
