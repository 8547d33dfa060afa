import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Client } from 'pg';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { directAddress } from './address.js';
import { CHANNELS, type Channel } from './channel.js';
import { clientConfig } from './data-source.js';
import { Database } from './database.js';
import { ECHO, Echo } from './echo.js';

const RECONNECT_MS = 1_000;
const HEARTBEAT_MS = 1_000;
/** A channel that has not answered for this long is taken to be dead, whatever the network says. */
const SILENT_MS = 2_500;
const MOVED =
  'what is said through the pool is not heard any more, as where one of them leads to another server by now';

/**
 * What changed, as the replicas tell each other (LISTEN/NOTIFY, about 0.2 ms). The channel is a connection of its own,
 * outside the pool, and comes back by itself; what is said while it is away is missed, so nobody may wait for it alone, or
 * believe what it remembers then. It counts once something was heard that was said through the pool, and as long as that goes
 * on each second: behind a pooler, or at another server, it would be silent for ever. Where DATABASE_NOTIFICATIONS=off it is always away.
 */
@Injectable()
export class Notifications implements OnModuleInit, OnApplicationShutdown {
  readonly #logger = new Logger(Notifications.name);
  readonly #waiting = new Map<string, Set<() => void>>();
  #client: Client | null = null;
  /** Of the last try, whether it has come to anything or not: there is one at a time. */
  #attempt: Client | null = null;
  #reconnecting: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  /** When it last proved to be alive; real time, as the network is. */
  #heardAt = -Infinity;
  readonly #onChange = new Map<Channel, ((id: string) => void)[]>();
  readonly #onLost: (() => void)[] = [];
  readonly #onReconnect: (() => void)[] = [];
  #wasLost = false;
  /** Why it is away was told. */
  #isTold = false;
  #closed = false;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'database'>,
    private readonly database: Database,
  ) {}

  async onModuleInit(): Promise<void> {
    if (this.settings.database.notifications) await this.#listen();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#reconnecting);
    clearInterval(this.#heartbeat);
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => undefined);
  }

  /** Resolves at the next change of this connection, or after `timeoutMs`, whichever comes first. */
  async changeOf(connectionId: string, timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        const waiting = this.#waiting.get(connectionId);
        waiting?.delete(wake);
        if (waiting?.size === 0) this.#waiting.delete(connectionId);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      const waiting = this.#waiting.get(connectionId);
      if (waiting) waiting.add(wake);
      else this.#waiting.set(connectionId, new Set([wake]));
    });
  }

  /** False while something may have been said that was not heard. */
  isLive(): boolean {
    return this.#client !== null && performance.now() - this.#heardAt < SILENT_MS;
  }

  /** Calls back with the id of each row that changed. */
  onChange(channel: Channel, callback: (id: string) => void): void {
    this.#onChange.set(channel, [...(this.#onChange.get(channel) ?? []), callback]);
  }

  /** Calls back when the channel is lost. */
  onLost(callback: () => void): void {
    this.#onLost.push(callback);
  }

  /** Calls back each time that the channel is back after it was lost. */
  onReconnect(callback: () => void): void {
    this.#onReconnect.push(callback);
  }

  async #listen(): Promise<void> {
    let client: Client;
    try {
      client = new Client({
        ...clientConfig(directAddress(this.settings.database)),
        application_name: 'token-broker listen',
        query_timeout: SILENT_MS,
        keepAlive: true,
      });
    } catch (error) {
      // A certificate that the address names is not there.
      return this.#retry((error as Error).message);
    }
    this.#attempt = client;
    client.on('notification', ({ channel, payload = '' }) => {
      if (channel === 'connections') this.#wake(payload);
      for (const callback of this.#onChange.get(channel as Channel) ?? []) callback(payload);
    });
    client.on('error', () => this.#lost(client));
    client.on('end', () => this.#lost(client));
    try {
      await client.connect();
      for (const channel of [...CHANNELS, ECHO]) await client.query(`listen ${channel}`);
      const echo = new Echo(this.database);
      if (!(await this.#hears(client, echo)) || this.#closed)
        return this.#lost(client, deafness(this.settings.database));
      if (this.#attempt !== client) return;
      this.#client = client;
      this.#isTold = false;
      this.#beat(client, echo);
      if (this.#wasLost) for (const callback of this.#onReconnect) callback();
    } catch (error) {
      this.#lost(client, `it cannot be reached (${(error as { code?: string }).code ?? 'no answer'})`);
    }
  }

  /** Whether what is said through the pool is heard. Nothing else is asked of the client meanwhile: a pooler would mix that up. */
  async #hears(client: Client, echo: Echo): Promise<boolean> {
    const heard = new Promise<true>((resolve) =>
      client.on('notification', ({ channel, payload = '' }) => {
        if (channel === ECHO && echo.hear(payload)) resolve(true);
      }),
    );
    await echo.say();
    return Promise.race([heard, sleep(SILENT_MS, false, { ref: false })]);
  }

  /** What was said before an answer has been heard when it comes. */
  #beat(client: Client, echo: Echo): void {
    this.#heardAt = performance.now();
    this.#heartbeat = setInterval(() => {
      if (performance.now() - this.#heardAt > SILENT_MS) return this.#lost(client);
      if (echo.unheardMs > SILENT_MS) return this.#lost(client, MOVED);
      echo.say().catch(() => undefined);
      client.query('select 1').then(
        () => (this.#heardAt = performance.now()),
        () => undefined,
      );
    }, HEARTBEAT_MS).unref();
  }

  #lost(client: Client, why = 'its connection ended'): void {
    // One that comes late, when another has taken its place, ends alone: what was read meanwhile is that one's.
    if (this.#attempt !== client) return end(client);
    this.#attempt = null;
    clearInterval(this.#heartbeat);
    end(client);
    if (this.#closed) return;
    if (this.#client === client) for (const callback of this.#onLost) callback();
    this.#client = null;
    this.#retry(why);
  }

  #retry(why: string): void {
    if (!this.#isTold) this.#logger.warn(`no notifications, until this is mended: ${why}`);
    this.#isTold = true;
    this.#wasLost = true;
    this.#reconnecting = setTimeout(() => {
      this.#reconnecting = undefined;
      void this.#listen();
    }, RECONNECT_MS);
  }

  #wake(connectionId: string): void {
    for (const wake of [...(this.#waiting.get(connectionId) ?? [])]) wake();
  }
}

function end(client: Client): void {
  client.removeAllListeners();
  client.on('error', () => undefined);
  void client.end().catch(() => undefined);
}

function deafness({ directUrl }: Settings['database']): string {
  return directUrl
    ? 'what is said through DATABASE_URL is not heard at DATABASE_DIRECT_URL, which has to lead to the same database, past every pooler'
    : 'what is said through DATABASE_URL is not heard there, as behind a pooler: set DATABASE_DIRECT_URL, or DATABASE_NOTIFICATIONS=off';
}
