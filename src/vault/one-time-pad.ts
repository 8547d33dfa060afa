import { randomFillSync } from 'node:crypto';

/**
 * As many random bytes as a secret has, to seal what is opened again and again while it lies in this process's memory, and nowhere
 * else (one-time pad: Shannon, Communication Theory of Secrecy Systems, 10). A cipher of Node takes four to seven times as
 * long. Not authenticated: whoever could change this memory could change the program. A pad is for one secret alone, and lies
 * outside of JavaScript's heap.
 */
export function drawPad(length: number): Buffer {
  return randomFillSync(Buffer.allocUnsafeSlow(length));
}

/** Turns a secret of these bytes into what is kept of it, and back, in place. @param at where it begins */
export function mix(bytes: Buffer, at: number, pad: Buffer): void {
  for (let place = 0; place < pad.length; place += 1)
    bytes[at + place] = (bytes[at + place] ?? 0) ^ (pad[place] ?? 0);
}
