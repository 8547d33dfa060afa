import { createCipheriv, type Cipheriv, type KeyObject } from 'node:crypto';
import { Secret } from '../shared/secret.js';

declare const sealed: unique symbol;

/** A secret as it lies in memory: its number, then the ciphertext. Each character is a byte. */
export type SealedInMemory = string & { readonly [sealed]: true };

const BLOCK_BYTES = 16;
const NUMBER_BYTES = 8;
/** Longer ones are seldom, and not kept. */
const MOST_BYTES = 2_048;
const MOST_BLOCKS = MOST_BYTES / BLOCK_BYTES;

/**
 * Seals what is opened again and again while it lies in this process's memory, and nowhere else. AES-256 in counter mode (NIST
 * SP 800-38A, 6.5): each secret has a number of its own, which its counters begin with. Of one cipher that is kept: Node makes one
 * for each opening otherwise, which takes four times as long. Not authenticated: whoever could change this memory could change
 * the program. Its key is outside of JavaScript's heap, and of this process alone.
 */
export class MemoryVault {
  readonly #cipher: Cipheriv;
  #made = 0;
  /** The counter blocks: number (8 bytes), 0 (4), and the how manieth block (4). */
  readonly #words = new Uint32Array((MOST_BLOCKS * BLOCK_BYTES) / 4);
  readonly #blocks = Buffer.from(this.#words.buffer);
  /** What is being opened. */
  readonly #text = Buffer.alloc(NUMBER_BYTES + MOST_BYTES);
  readonly #number = new Uint32Array(this.#text.buffer, this.#text.byteOffset, NUMBER_BYTES / 4);

  /** @param key AES-256, used by this one alone */
  constructor(key: KeyObject) {
    this.#cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    for (let block = 0; block < MOST_BLOCKS; block += 1)
      this.#blocks.writeUInt32BE(block, (block + 1) * BLOCK_BYTES - 4);
  }

  /** Undefined where it is too long. */
  seal(secret: Secret): SealedInMemory | undefined {
    const plain = Buffer.from(secret.reveal(), 'utf8');
    if (plain.length > MOST_BYTES) return undefined;
    this.#made += 1;
    this.#number.set([this.#made % 2 ** 32, Math.floor(this.#made / 2 ** 32)]);
    const number = this.#text.toString('latin1', 0, NUMBER_BYTES);
    const text = this.#mix(plain, 0, plain.length).toString('latin1');
    plain.fill(0);
    return (number + text) as SealedInMemory;
  }

  /** Of a token of 40 characters a quarter of what `Vault` takes for it. */
  open(sealed: SealedInMemory): Secret {
    const length = this.#text.write(sealed, 'latin1') - NUMBER_BYTES;
    const plain = this.#mix(this.#text, NUMBER_BYTES, length);
    const secret = new Secret(plain.toString('utf8'));
    plain.fill(0);
    return secret;
  }

  /** Turns plain text into the ciphertext of the secret whose number stands there, and back. */
  #mix(text: Buffer, from: number, length: number): Buffer {
    const [low = 0, high = 0] = this.#number;
    const blocks = Math.ceil(length / BLOCK_BYTES);
    for (let block = 0; block < blocks; block += 1) {
      this.#words[block * 4] = low;
      this.#words[block * 4 + 1] = high;
    }
    const stream = this.#cipher.update(this.#blocks.subarray(0, blocks * BLOCK_BYTES));
    for (let at = 0; at < length; at += 1) stream[at] = (stream[at] ?? 0) ^ (text[from + at] ?? 0);
    return stream.subarray(0, length);
  }
}
