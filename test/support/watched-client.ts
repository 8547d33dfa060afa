import { expect } from '@jest/globals';
import {
  TokenBroker,
  TokenBrokerError,
  type Subject,
  type TokenBrokerSettings,
} from '../../client/src/index.js';
import { ADMIN_KEY, type LocalBroker, type World } from './world.js';

type Changes = Partial<TokenBrokerSettings> & { fetch?: typeof fetch };

/** The client as a service has it, by the world's clock, and what it asked the broker for. */
export class WatchedClient {
  /** Of the client that was made last: `method path`. */
  asked: string[] = [];

  constructor(
    private readonly world: World,
    private readonly broker: () => LocalBroker,
  ) {}

  make(changes: Changes = {}): TokenBroker {
    this.asked = [];
    const send = changes.fetch ?? fetch;
    return new TokenBroker({
      url: this.broker().api,
      key: ADMIN_KEY,
      now: () => this.world.clock.monotonic(),
      ...changes,
      fetch: (url, init) => {
        const address = new URL(url);
        if (address.origin === this.broker().api) this.asked.push(`${init?.method} ${address.pathname}`);
        return send(url, init);
      },
    });
  }

  get reports(): readonly string[] {
    return this.asked.filter((it) => it.startsWith('POST'));
  }

  /** Makes a connection to Fynd, whose token lives an hour. */
  async install(company: string): Promise<Subject> {
    await this.world.install(this.broker(), company);
    return { company };
  }
}

/** What a call was refused with. */
export async function refusal(promise: Promise<unknown>): Promise<TokenBrokerError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(TokenBrokerError);
  return error as TokenBrokerError;
}
