import { ADMIN_KEY } from './world.js';
import type { Balancer } from './balancer.js';

/** One request, and what came of it. */
export interface Outcome {
  readonly path: string;
  readonly began: number;
  readonly ended: number;
  /** 0 where no answer came. */
  readonly status: number;
  readonly code: string;
  readonly retryAfter: string | null;
}

/** Clients that ask without a pause, each one request after the other, over connections that stay open. */
export class Load {
  readonly outcomes: Outcome[] = [];
  #stopped = false;
  readonly #clients: Promise<void>[];

  constructor(
    private readonly balancer: Balancer,
    private readonly path: () => string,
    clients: number,
  ) {
    this.#clients = Array.from({ length: clients }, () => this.#run());
  }

  /** Those that were answered with anything but 200, or not at all. */
  get failed(): Outcome[] {
    return this.outcomes.filter(({ status }) => status !== 200);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) this.outcomes.push(await this.#ask(this.path()));
  }

  async #ask(path: string): Promise<Outcome> {
    const began = performance.now();
    try {
      const answer = await fetch(`${this.balancer.next()}${path}`, {
        headers: { authorization: `Bearer ${ADMIN_KEY}` },
      });
      const body = (await answer.json()) as { code?: string };
      const retryAfter = answer.headers.get('retry-after');
      const { status } = answer;
      return { path, began, ended: performance.now(), status, code: body.code ?? '', retryAfter };
    } catch (error) {
      const { cause } = error as { cause?: { code?: string } };
      const code = cause?.code ?? String(error);
      return { path, began, ended: performance.now(), status: 0, code, retryAfter: null };
    }
  }
}

/** How many of each kind, to read in an assertion that fails. */
export function tally(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, code } of outcomes) {
    const name = `${status} ${code}`.trim();
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
