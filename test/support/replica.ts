import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from './http.js';

const PROGRAM = fileURLToPath(new URL('../../dist/packed/main.js', import.meta.url));

const PACKED = new URL('packed-program.mjs', import.meta.url).href;

/** A program that has ended: how, and all that it said. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** A broker as a process of its own, as it runs in production: `node dist/packed/main.js`. */
export class Replica {
  #output = '';

  private constructor(private readonly child: ChildProcess) {
    const collect = (chunk: Buffer): void => void (this.#output += chunk.toString());
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
  }

  /** Starts and resolves when it listens. Another release is another program. */
  static async start(env: NodeJS.ProcessEnv, program = PROGRAM): Promise<Replica> {
    const replica = new Replica(spawnBroker(env, program));
    await eventually(() => {
      if (replica.child.exitCode !== null) throw new Error(`the broker ended:\n${replica.output}`);
      return /listening: .*\n/.test(replica.output);
    });
    return replica;
  }

  /** Starts and does not wait for anything. */
  static launch(env: NodeJS.ProcessEnv): Replica {
    return new Replica(spawnBroker(env));
  }

  /** Starts what is expected to end by itself. */
  static async runToEnd(env: NodeJS.ProcessEnv): Promise<Ended> {
    const replica = new Replica(spawnBroker(env));
    return replica.ended();
  }

  get output(): string {
    return this.#output;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get api(): string {
    return this.#address('internal');
  }

  get public(): string {
    return this.#address('public');
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async ended(): Promise<Ended> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    return { code: this.child.exitCode, output: this.#output };
  }

  /** Ends it in order; one that hangs is killed. */
  async stop(): Promise<void> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const kill = setTimeout(() => this.signal('SIGKILL'), 8_000);
    await this.ended();
    clearTimeout(kill);
  }

  #address(listener: string): string {
    const [, address = ''] = new RegExp(`${listener} ([\\d.]+:\\d+)`).exec(this.#output) ?? [];
    return `http://${address}`;
  }
}

/** As much of its own environment as a test hands to a program of ours. */
export function inherited(): NodeJS.ProcessEnv {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  return { PATH, NODE_COMPILE_CACHE };
}

/** The same for what is not packed as the service is: where tests must not take long, its packages are, see `packages.mjs`. */
export function inheritedUnpacked(): NodeJS.ProcessEnv {
  const { FAULTS, LONG } = process.env;
  const mayTakeLong = FAULTS === 'full' || LONG === 'true';
  return { ...inherited(), ...(!mayTakeLong && { NODE_OPTIONS: `--import=${PACKED}` }) };
}

function spawnBroker(env: NodeJS.ProcessEnv, program = PROGRAM): ChildProcess {
  return spawn(process.execPath, [program], {
    env: { ...inherited(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
