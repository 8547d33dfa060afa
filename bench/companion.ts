import { type ChildProcess, fork, type Serializable } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A program of a benchmark beside this one, in a process of its own. It answers each message with one. */
export class Companion {
  readonly #ended: Promise<unknown>;

  private constructor(
    private readonly child: ChildProcess,
    private readonly name: string,
  ) {
    this.#ended = once(child, 'exit');
  }

  /** @param program the URL of its JavaScript */
  static start(program: URL): Companion {
    const path = fileURLToPath(program);
    return new Companion(fork(path, [], { execArgv: [] }), path);
  }

  get pid(): number {
    return this.child.pid ?? NaN;
  }

  /** One question at a time. Throws where the program ends without an answer; it has said why on stderr. */
  async ask<Answer>(question: Serializable): Promise<Answer> {
    const answered = once(this.child, 'message') as Promise<[Answer]>;
    this.child.send(question);
    const failed = this.#ended.then(() => Promise.reject(new Error(`${this.name} has ended, see above`)));
    const [answer] = await Promise.race([answered, failed]);
    return answer;
  }

  async stop(): Promise<void> {
    this.child.kill();
    await this.#ended;
  }
}
