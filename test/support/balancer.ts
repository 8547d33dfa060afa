import { setTimeout as sleep } from 'node:timers/promises';

/** How often it asks each server whether it is ready, as a load balancer does. */
const LOOK_MS = 250;

/** A load balancer in the client's place: it leads to the servers that last said that they are ready, in turns. */
export class Balancer {
  readonly #ready = new Map<string, boolean>();
  #turn = 0;
  #closed = false;
  readonly #looking: Promise<void>;

  /** @param servers addresses that stay, whatever process is behind them */
  constructor(private readonly servers: readonly string[]) {
    for (const server of servers) this.#ready.set(server, true);
    this.#looking = this.#look();
  }

  /** Where the next request goes. With none that is ready it goes to any, as with most load balancers. */
  next(): string {
    const ready = this.servers.filter((server) => this.#ready.get(server));
    const among = ready.length > 0 ? ready : this.servers;
    return among[(this.#turn += 1) % among.length] ?? '';
  }

  countReady(): number {
    return [...this.#ready.values()].filter(Boolean).length;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#looking;
  }

  async #look(): Promise<void> {
    while (!this.#closed) {
      await Promise.all(
        this.servers.map(async (server) => {
          const isReady = await fetch(`${server}/health/ready`, { signal: AbortSignal.timeout(2_000) }).then(
            async (answer) => (await answer.text(), answer.ok),
            () => false,
          );
          this.#ready.set(server, isReady);
        }),
      );
      await sleep(LOOK_MS);
    }
  }
}
