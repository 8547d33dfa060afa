import type { BufferedEvent } from '../audit/buffered-event.js';
import type { SealedInMemory } from '../vault/memory-vault.js';
import type { Frame } from './token-text.js';

/** What answers of a token that is asked for again and again have in common. */
export class KeptAnswer implements Frame, SealedInMemory {
  /** The event of its last read in the trail, which most often the next one is folded into. */
  noted: BufferedEvent | undefined = undefined;
  readonly beforeToken: string;
  readonly beforeHeader: string;
  readonly beforeSeconds: string;
  readonly end: string;
  readonly text: string;
  readonly pad: Buffer;

  /** @param token as it stands in JSON */
  constructor({ beforeToken, beforeHeader, beforeSeconds, end }: Frame, { text, pad }: SealedInMemory) {
    this.text = text;
    this.pad = pad;
    this.beforeToken = beforeToken;
    this.beforeHeader = beforeHeader;
    this.beforeSeconds = beforeSeconds;
    this.end = end;
  }
}
