import { IsTime } from '../shared/is-time.js';

/** What an operator asks to be tried once more. */
export class ReviveShape {
  /** Grants that were declared dead since then. */
  @IsTime('With its zone.')
  since!: string;
}
