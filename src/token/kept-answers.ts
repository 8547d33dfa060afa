import { Injectable } from '@nestjs/common';
import { KeptFew } from './kept-few.js';
import type { KeptTokenInHand } from './token-in-hand.js';

/** Some 10 MB where tokens are short, and 90 at the most. */
const MOST_KEPT = 10_000;

/** The tokens in hand for which an answer is kept. */
@Injectable()
export class KeptAnswers {
  readonly #few = new KeptFew<KeptTokenInHand>(MOST_KEPT, (token) => (token.answer = undefined));

  /** Is one to be kept of this token? */
  takes(token: KeptTokenInHand): boolean {
    return this.#few.takes(token);
  }

  /** This is not the token in hand any more: whoever still answers it keeps nothing of that. */
  drop(token: KeptTokenInHand): void {
    this.#few.drop(token);
    token.answer = null;
  }
}
