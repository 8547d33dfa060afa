import { randomFillSync } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Secret } from '../shared/secret.js';

/** A secret as it lies in memory. Neither half says anything about it without the other. */
export interface SealedInMemory {
  /** Each character is a byte. */
  readonly text: string;
  /** As many random bytes, drawn for this secret alone; outside of JavaScript's heap. */
  readonly pad: Buffer;
}

/** Longer ones are seldom, and not kept. */
const MOST_BYTES = 2_048;

/**
 * Seals what is opened again and again while it lies in this process's memory, and nowhere else: with a one-time pad (Shannon,
 * Communication Theory of Secrecy Systems, 10), since a cipher of Node takes four to seven times as long. Not authenticated:
 * whoever could change this memory could change the program.
 */
@Injectable()
export class MemoryVault {
  /** What is being opened. */
  readonly #plain = Buffer.alloc(MOST_BYTES);

  /** Undefined where it is too long. */
  seal(secret: Secret): SealedInMemory | undefined {
    const plain = Buffer.from(secret.reveal(), 'utf8');
    if (plain.length > MOST_BYTES) return undefined;
    const pad = randomFillSync(Buffer.allocUnsafeSlow(plain.length));
    mix(plain, pad);
    return { text: plain.toString('latin1'), pad };
  }

  open({ text, pad }: SealedInMemory): Secret {
    this.#plain.write(text, 'latin1');
    mix(this.#plain, pad);
    const secret = new Secret(this.#plain.toString('utf8', 0, pad.length));
    this.#plain.fill(0, 0, pad.length);
    return secret;
  }
}

/** Turns a secret into what is kept of it, and back, in place. */
function mix(bytes: Buffer, pad: Buffer): void {
  for (let at = 0; at < pad.length; at += 1) bytes[at] = (bytes[at] ?? 0) ^ (pad[at] ?? 0);
}
