import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { inheritedUnpacked, type Ended } from './replica.js';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** A command of the operators' program, as a process of its own. */
export class CommandLine {
  #output = '';

  private constructor(private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
  }

  static start(args: readonly string[], env: NodeJS.ProcessEnv = {}): CommandLine {
    return new CommandLine(
      spawn(process.execPath, ['--no-warnings', PROGRAM, ...args], {
        env: { ...inheritedUnpacked(), ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
  }

  /** Runs one to its end. */
  static run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return CommandLine.start(args, env).ended();
  }

  get output(): string {
    return this.#output;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async ended(): Promise<Ended> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    return { code: this.child.exitCode, output: this.#output };
  }
}
