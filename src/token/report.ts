import { IsInt, IsPositive, Max } from 'class-validator';
import { invalid, Problem } from '../shared/problem.js';

/** What a caller tells when a provider has refused a token. */
export class ReportShape {
  @IsInt() @IsPositive() @Max(2_147_483_647) version!: number;
  @IsInt() status!: number;
}

/** Throws Problem `not_renewable` for a 403, and `invalid_request` for any other status than 401. */
export function checkReport({ status }: ReportShape): void {
  if (status === 403) {
    throw new Problem(
      'not_renewable',
      'A 403 is about permission and not about age: a new token would not help.',
    );
  }
  if (status !== 401) throw invalid('status', 'must be 401, or 403 to learn why that does not help');
}
