import type { BufferedEvent } from '../audit/buffered-event.js';
import type { SealedInMemory } from '../vault/memory-vault.js';
import type { Frame } from './token-text.js';

/** What answers of a token that is asked for again and again have in common. */
export interface KeptAnswer extends Frame {
  /** As it stands in JSON. */
  readonly token: SealedInMemory;
  /** The event of its last read in the trail, which most often the next one is folded into. */
  noted?: BufferedEvent;
}
