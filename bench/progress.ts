import { stderr } from 'node:process';

/** Shows how far a long step is: on one line in a terminal, and at its end elsewhere. */
export class Progress {
  #shownAt = 0;

  /** A step of `total`; each call of what it returns tells how much is done. */
  step(name: string, total: number): (done: number) => void {
    return (done) => {
      const isDone = done >= total;
      if (!isDone && (!stderr.isTTY || Date.now() - this.#shownAt < 200)) return;
      this.#shownAt = Date.now();
      const line = `${name}: ${done} of ${total}`;
      stderr.write(stderr.isTTY ? `\r\u001b[K${line}${isDone ? '\n' : ''}` : `${line}\n`);
    };
  }

  say(line: string): void {
    stderr.write(`${line}\n`);
  }
}
