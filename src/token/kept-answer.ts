import { isAscii } from 'node:buffer';
import type { BufferedEvent } from '../audit/buffered-event.js';
import type { Secret } from '../shared/secret.js';
import { drawPad, mix } from '../vault/one-time-pad.js';
import type { Frame } from './token-text.js';

/** Longer tokens are seldom, and their answers are not kept. Bytes. */
const LONGEST_TOKEN = 2_048;
/** Of all else in an answer. */
const LONGEST_FRAME = 4_096;
/** Where an answer is put together, and wiped: a text that is joined lies in as many places as it has parts. */
const room = Buffer.alloc(LONGEST_FRAME + 2 * LONGEST_TOKEN);

/**
 * The answer of a token that is asked for again and again, with the token sealed: one text, since of all that is done for a read,
 * waiting for memory that is in no cache takes the most.
 */
export class KeptAnswer {
  /** The event of its last read in the trail, which most often the next one is folded into. */
  noted: BufferedEvent | undefined = undefined;
  /** In UTF-8, each character is a byte; without the seconds, and with the token only where it comes first. */
  readonly #text: string;
  readonly #pad: Buffer;
  readonly #tokenAt: number;
  /** Where the token comes again. */
  readonly #headerAt: number;
  /** Where the seconds come, as the text stands. */
  readonly #secondsAt: number;
  readonly #encoding: 'latin1' | 'utf8';

  /** Undefined where it is too long. @param token as it stands in JSON */
  static of(frame: Frame, token: Secret): KeptAnswer | undefined {
    const length = Buffer.byteLength(Object.values(frame).join('')) + String(-Number.MAX_SAFE_INTEGER).length;
    if (Buffer.byteLength(token.reveal()) > LONGEST_TOKEN || length > LONGEST_FRAME) return undefined;
    return new KeptAnswer(frame, Buffer.from(token.reveal()));
  }

  private constructor(frame: Frame, token: Buffer) {
    const beforeToken = Buffer.from(frame.beforeToken);
    const beforeHeader = Buffer.from(frame.beforeHeader);
    const beforeSeconds = Buffer.from(frame.beforeSeconds);
    this.#tokenAt = beforeToken.length;
    this.#headerAt = this.#tokenAt + token.length + beforeHeader.length;
    this.#secondsAt = this.#headerAt + beforeSeconds.length;
    const bytes = Buffer.concat([beforeToken, token, beforeHeader, beforeSeconds, Buffer.from(frame.end)]);
    this.#encoding = isAscii(bytes) ? 'latin1' : 'utf8';
    this.#pad = drawPad(token.length);
    mix(bytes, this.#tokenAt, this.#pad);
    this.#text = bytes.toString('latin1');
    token.fill(0);
  }

  /** As JSON, in plain text: the last thing before it is sent. */
  write(expiresIn: number): string {
    const { length } = this.#pad;
    const seconds = String(expiresIn);
    room.write(this.#text, 'latin1');
    mix(room, this.#tokenAt, this.#pad);
    // From the end on, so that nothing is written over.
    room.copyWithin(this.#secondsAt + length + seconds.length, this.#secondsAt, this.#text.length);
    room.write(seconds, this.#secondsAt + length, 'latin1');
    room.copyWithin(this.#headerAt + length, this.#headerAt, this.#secondsAt);
    room.copyWithin(this.#headerAt, this.#tokenAt, this.#tokenAt + length);
    const end = this.#text.length + length + seconds.length;
    const json = room.toString(this.#encoding, 0, end);
    room.fill(0, 0, end);
    return json;
  }
}
