import { IsISO8601 } from 'class-validator';
import { invalid } from '../shared/problem.js';

/** What an operator asks to be tried once more. */
export class ReviveShape {
  /** Grants that were declared dead since then. */
  @IsISO8601({ strict: true, strictSeparator: true }) since!: string;
}

/** Throws Problem `invalid_request` for a text that is no time of day. */
export function readSince({ since }: ReviveShape): Date {
  const date = new Date(since);
  if (!/T.*(Z|[+-]\d{2}:?\d{2})$/.test(since) || Number.isNaN(date.getTime())) {
    throw invalid('since', 'must be a time like 2026-11-21T08:00:00Z, with its zone');
  }
  return date;
}
