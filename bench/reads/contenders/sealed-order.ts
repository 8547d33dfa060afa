import type { CannedAnswer } from '../../load/canned-answer.js';

/** What a server is told that answers real tokens with as little as that takes. */
export interface SealedOrder {
  readonly databaseUrl: string;
  /** Connections to the database. */
  readonly pool: number;
  /** What tokens are sealed with (base64). */
  readonly sealKey: string;
  /** With which it is asked; who looks at it needs no other. */
  readonly key: string;
  /** A real answer, for all that is the same in each. */
  readonly example: CannedAnswer;
}
