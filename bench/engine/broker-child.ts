import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { env, execPath } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Surroundings, variablesOf } from './surroundings.js';

const PROGRAM = fileURLToPath(new URL('../../packed/main.js', import.meta.url));
const PACKAGE = new URL('../../../package.json', import.meta.url);
const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 40_000;

/** What a broker tells of itself. */
export interface Vitals {
  readonly renewed: number;
  readonly residentBytes: number;
  /** Seconds that it has had a processor since its start. */
  readonly cpuSeconds: number;
}

/** A broker as a process of its own, as it runs in production. */
export class BrokerChild {
  #output = '';

  private constructor(private readonly child: ChildProcess) {
    const collect = (chunk: Buffer): void => void (this.#output += chunk.toString());
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
  }

  /** Resolves when it listens. @param nodeOptions flags of Node, for a profile */
  static async start(surroundings: Surroundings, nodeOptions: readonly string[] = []): Promise<BrokerChild> {
    const broker = new BrokerChild(
      spawn(execPath, [...productionFlags(), ...nodeOptions, PROGRAM], {
        env: { PATH: env['PATH'], ...variablesOf(surroundings) },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    for (const until = Date.now() + READY_WITHIN_MS; !broker.#opsAddress;) {
      if (broker.#hasEnded || Date.now() > until) throw new Error(`no broker:\n${broker.#output}`);
      await sleep(10);
    }
    return broker;
  }

  get pid(): number {
    return this.child.pid ?? NaN;
  }

  /** Where callers ask. */
  get api(): string {
    return `http://${/listening: .*internal ([\d.]+:\d+)/.exec(this.#output)?.[1]}`;
  }

  /** As its metrics say. Throws once it has ended. */
  async vitals(): Promise<Vitals> {
    if (this.#hasEnded) throw new Error(`the broker has ended:\n${this.#output}`);
    const text = await (await fetch(`http://${this.#opsAddress}/metrics`)).text();
    const read = (name: RegExp): number => Number(name.exec(text)?.[1] ?? 0);
    return {
      renewed: read(/^token_broker_renewals_total\{.*outcome="renewed".*\} (\S+)$/m),
      residentBytes: read(/^process_resident_memory_bytes (\S+)$/m),
      cpuSeconds: read(/^process_cpu_seconds_total (\S+)$/m),
    };
  }

  /** In order; one that hangs is killed. */
  async stop(): Promise<void> {
    if (this.#hasEnded) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    const kill = setTimeout(() => this.child.kill('SIGKILL'), STOP_WITHIN_MS);
    await ended;
    clearTimeout(kill);
  }

  get #hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  get #opsAddress(): string | undefined {
    return /listening: .*ops ([\d.]+:\d+)/.exec(this.#output)?.[1];
  }
}

/** Those of Node with which `npm run start:prod` starts it. */
function productionFlags(): string[] {
  const { scripts } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { scripts: Record<string, string> };
  return scripts['start:prod']?.match(/--\S+/g) ?? [];
}
