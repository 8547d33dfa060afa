import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SurroundingsError } from './surroundings-error.js';

/** The running stand-in for the providers. */
export interface Simulator {
  /** Where it listens, without a closing slash. */
  readonly url: string;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 20_000;
const PROGRAM = fileURLToPath(new URL('../simulator/main.js', import.meta.url));

/** Starts the simulator on SIMULATOR_PORT (8090). It ends with this program, which it notices by the closed channel. */
export async function startSimulator(env: NodeJS.ProcessEnv, program = PROGRAM): Promise<Simulator> {
  const port = env.SIMULATOR_PORT || '8090';
  if (!existsSync(program)) {
    throw new SurroundingsError('The simulator is not built: run `npm run build`.');
  }
  await requireFree(port);
  // A group of its own: Ctrl-C in the terminal must not stop it before the broker has closed its work.
  const child = fork(program, [], {
    detached: true,
    execArgv: [],
    env: { ...environmentFor(env), SIMULATOR_PORT: port },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const listening = await firstPort(child);
  if (listening === undefined) {
    await stop(child);
    throw new SurroundingsError(
      `The simulator did not start on port ${port}: see above, or set SIMULATOR_PORT to another port.`,
    );
  }
  child.unref();
  child.channel?.unref();
  return { url: `http://127.0.0.1:${listening}`, stop: () => stop(child) };
}

/** Its own settings and what any program needs: it has no use for the broker's secrets. */
function environmentFor(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const wanted = Object.entries(env).filter(([name]) => /^(SIMULATOR_.*|PATH|TZ|NODE_ENV)$/.test(name));
  return Object.fromEntries(wanted);
}

async function requireFree(port: string): Promise<void> {
  const number = Number(port);
  if (!Number.isInteger(number) || number < 0 || number > 65_535) {
    throw new SurroundingsError(`SIMULATOR_PORT is ${port}: set it to a port from 0 to 65535.`);
  }
  const probe = createServer().listen(number, '127.0.0.1');
  try {
    await once(probe, 'listening');
  } catch {
    throw new SurroundingsError(
      `Port ${port}, where the simulator should listen, is taken: free it, or set SIMULATOR_PORT to another port.`,
    );
  }
  probe.close();
  await once(probe, 'close');
}

/** The port from its message `{ listening }`; undefined if it ends or stays silent. */
function firstPort(child: ChildProcess): Promise<number | undefined> {
  return new Promise((resolve) => {
    const patience = setTimeout(() => resolve(undefined), READY_WITHIN_MS);
    const settle = (port: number | undefined): void => {
      clearTimeout(patience);
      resolve(port);
    };
    child.on('message', (message) => {
      if (typeof message === 'object' && 'listening' in message) settle(Number(message.listening));
    });
    child.once('exit', () => settle(undefined));
    child.once('error', () => settle(undefined));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const ended = once(child, 'exit');
    child.kill(signal);
    await Promise.race([ended, sleep(3_000, undefined, { ref: false })]);
  }
}
