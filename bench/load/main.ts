import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerWith } from '../companion-program.js';
import { Caller } from './caller.js';
import { Choice } from './choice.js';
import { Gauge } from './gauge.js';
import type { Load, LoadOrder } from './order.js';

/** One answer in so many is looked into: whether it is about the company that was asked for. */
const LOOKS_EVERY = 64;

/** Runs one order to its end. */
class Run {
  readonly #gauge: Gauge;
  readonly #choice: Choice;
  readonly #before: string;
  readonly #behind: string;
  readonly #startedAt = performance.now();
  #sent = 0;
  #isOver = false;

  constructor(private readonly order: LoadOrder) {
    const { pathname, host } = new URL(order.url);
    this.#gauge = new Gauge(order);
    this.#choice = new Choice(order.companies ?? { order: 'walk', count: 1 });
    this.#before = `GET ${pathname}`;
    this.#behind = ` HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer `;
  }

  async finish(): Promise<Load> {
    const { leadSeconds = 0, seconds, requests } = this.order;
    const callers = Array.from({ length: this.order.clients }, () => this.#caller().run());
    const all = Promise.all(callers);
    if (leadSeconds > 0) await Promise.race([all, sleep(leadSeconds * 1_000)]);
    this.#gauge.open();
    await (requests === undefined ? Promise.race([all, this.#seconds(seconds)]) : all);
    this.#isOver = true;
    const load = this.#gauge.close();
    await all;
    return { ...load, sent: this.#sent };
  }

  /** Longer where nobody was answered by then: a load of nothing says nothing. */
  async #seconds(seconds: number): Promise<void> {
    do await sleep(seconds * 1_000);
    while (this.#gauge.isEmpty);
  }

  #caller(): Caller {
    let company = 0;
    return new Caller(new URL(this.order.url), {
      next: () => {
        if (this.#isOver || this.#sent === this.order.requests) return undefined;
        this.#sent += 1;
        company = this.#choice.take();
        return this.#request(company);
      },
      answered: (status, sentAt, bytes) => {
        this.#gauge.note(status, this.order.isUntimed ? 0 : performance.now() - sentAt);
        if (this.order.companies && this.#sent % LOOKS_EVERY === 0) expectAbout(company, bytes);
        return this.order.perSecond === undefined ? 0 : this.#aheadMs(this.order.perSecond);
      },
    });
  }

  #request(company: number): string {
    const { companies, keys = [] } = this.order;
    const key = keys[(companies ? company : this.#sent) % keys.length] ?? madeUpKey();
    const path = companies ? `${this.#before}${company}` : this.#before;
    return `${path}${this.#behind}${key}\r\n\r\n`;
  }

  #aheadMs(perSecond: number): number {
    return (this.#sent / perSecond) * 1_000 - (performance.now() - this.#startedAt);
  }
}

function madeUpKey(): string {
  return `tbk_${randomBytes(8).toString('hex')}_${'x'.repeat(43)}`;
}

function expectAbout(company: number, bytes: Buffer): void {
  if (!bytes.includes(`"company_id":"${company}"`))
    throw new Error(`asked for company ${company}, answered:\n${bytes.toString('latin1')}`);
}

answerWith((order: LoadOrder) => new Run(order).finish());
