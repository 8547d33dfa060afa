import { beforeEach } from '@jest/globals';
import { Browser } from './browser.js';
import type { Answer, Json } from './http.js';
import type { LocalBroker, World } from './world.js';

/** The kinds of provider whose tokens can be renewed. */
export const RENEWED = ['fynd', 'konnect', 'connect'] as const;

export type Renewed = (typeof RENEWED)[number];

/** A company that is connected to a provider, whatever it takes to connect it there. */
export class EveryKind {
  #companies: number;
  #scheduled: Promise<LocalBroker> | undefined;

  constructor(
    private readonly world: World,
    private readonly broker: () => LocalBroker,
    first: number,
  ) {
    this.#companies = first;
    // Some providers tell a time of day: a reset sets the simulator's back, and the world's goes on.
    beforeEach(async () => {
      const advance_s = (world.clock.now().getTime() - Date.now()) / 1_000;
      await world.simulator.control('POST', 'clock', { advance_s });
    });
  }

  nextCompany(): string {
    return String(++this.#companies);
  }

  call(method: string, path: string, body?: unknown): Promise<Answer> {
    return this.world.api(this.broker(), method, `/v1${path}`, body);
  }

  /** A company with its first token. */
  async connected(kind: Renewed): Promise<Connected> {
    const company = this.nextCompany();
    if (kind === 'konnect') await this.world.keepKonnect(this.broker(), company);
    else await this.consent(kind, company);
    const { body } = await this.call('GET', `/connections?provider=${kind}&company_id=${company}`);
    const [connection] = body['items'] as Json[];
    if (connection?.['token_version'] !== 1) throw new Error(`${kind} ${company} was not connected`);
    return new Connected(this, kind, company, String(connection['id']), this.world);
  }

  /** A seller consents. */
  async consent(provider: 'fynd' | 'connect', company: string): Promise<void> {
    const broker = this.broker();
    if (provider === 'fynd') {
      await this.world.install(broker, company);
      return;
    }
    const { body } = await this.call(
      'POST',
      `/connections/${provider}/companies/${company}/authorize-link`,
      {},
    );
    const hosts = [broker.public, this.world.simulator.url].map((url) => new URL(url).host);
    await new Browser().follow(String(body['url']), hosts);
  }

  /** Lets a schedule look at the calendar, once so many seconds have passed, and all that it begins end. */
  async look(afterS = 0): Promise<void> {
    const scheduled = await (this.#scheduled ??= this.#schedule());
    if (afterS > 0) await this.world.advance(afterS);
    await this.world.settle(scheduled);
  }

  /** Another broker, whose schedule looks where it is let, and never else. */
  async #schedule(): Promise<LocalBroker> {
    const scheduled = await this.world.local();
    this.world.stopTicking(scheduled);
    return scheduled;
  }
}

/** One connection of one company, and what its provider was asked for it. */
export class Connected {
  constructor(
    private readonly every: EveryKind,
    readonly kind: Renewed,
    readonly company: string,
    readonly id: string,
    private readonly world: World,
  ) {}

  get path(): string {
    return `${this.kind}/companies/${this.company}`;
  }

  token(query = ''): Promise<Answer> {
    return this.every.call('GET', `/tokens/${this.path}${query}`);
  }

  report(version: number): Promise<Answer> {
    return this.every.call('POST', `/tokens/${this.path}/report`, { version, status: 401 });
  }

  async shown(): Promise<Json> {
    return (await this.every.call('GET', `/connections/${this.id}`)).body;
  }

  do(what: 'pause' | 'resume' | 'renew'): Promise<Answer> {
    return this.every.call('POST', `/connections/${this.id}/${what}`);
  }

  revoke(): Promise<Answer> {
    return this.every.call('DELETE', `/connections/${this.id}`);
  }

  /** How often its provider was asked for a newer token of it, the first one of Konnect not counted. */
  async renewals(): Promise<number> {
    const { provider, operation, ...who } = this.#renewal();
    const query = new URLSearchParams({ provider, operation, ...who, limit: '0' });
    const { counters } = await this.world.simulator.ledger(`?${query.toString()}`);
    return Number(counters['calls']) - (this.kind === 'konnect' ? 1 : 0);
  }

  /** What strikes its next renewals. */
  async fault(fault: Json): Promise<void> {
    const { status, body } = await this.world.simulator.fault({ ...this.#renewal(), ...fault });
    if (status !== 201) throw new Error(JSON.stringify(body));
  }

  #renewal(): Record<'provider' | 'operation', string> & Record<string, string> {
    if (this.kind === 'konnect') return { provider: 'konnect', operation: 'token', username: this.company };
    if (this.kind === 'fynd') return { provider: 'fynd', operation: 'renew', company_id: this.company };
    // Connect does not know its callers' companies: a test connects no more than one.
    return { provider: 'connect', operation: 'renew' };
  }
}
