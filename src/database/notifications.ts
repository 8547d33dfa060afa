import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Client } from 'pg';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { clientConfig } from './data-source.js';

const CHANNEL = 'connections';
const RECONNECT_MS = 1_000;

/**
 * Which connections changed, as the replicas tell each other (LISTEN/NOTIFY, about 0.2 ms). The channel is a
 * connection of its own, outside the pool, and comes back by itself; what is said while it is away is missed, so
 * nobody may wait for it alone.
 */
@Injectable()
export class Notifications implements OnModuleInit, OnApplicationShutdown {
  readonly #logger = new Logger(Notifications.name);
  readonly #waiting = new Map<string, Set<() => void>>();
  #client: Client | null = null;
  #reconnecting: NodeJS.Timeout | undefined;
  readonly #onLost: (() => void)[] = [];
  readonly #onReconnect: (() => void)[] = [];
  #wasLost = false;
  #closed = false;

  constructor(@Inject(SETTINGS) private readonly settings: Settings) {}

  async onModuleInit(): Promise<void> {
    await this.#listen();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#reconnecting);
    await this.#client?.end().catch(() => undefined);
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

  /** Calls back when the channel is lost. */
  onLost(callback: () => void): void {
    this.#onLost.push(callback);
  }

  /** Calls back each time that the channel is back after it was lost. */
  onReconnect(callback: () => void): void {
    this.#onReconnect.push(callback);
  }

  async #listen(): Promise<void> {
    const { url, ca } = this.settings.database;
    const client = new Client({
      ...clientConfig({ url: () => url.current.reveal(), ca }),
      application_name: 'token-broker listen',
      keepAlive: true,
    });
    client.on('notification', ({ payload }) => this.#wake(payload ?? ''));
    client.on('error', () => this.#lost(client));
    client.on('end', () => this.#lost(client));
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      this.#client = client;
      if (this.#wasLost) for (const callback of this.#onReconnect) callback();
    } catch {
      this.#lost(client);
    }
  }

  #lost(client: Client): void {
    if (this.#closed || this.#reconnecting) return;
    if (this.#client === client) {
      this.#logger.warn('lost the notification channel; reconnecting');
      for (const callback of this.#onLost) callback();
    }
    this.#client = null;
    this.#wasLost = true;
    client.removeAllListeners();
    client.on('error', () => undefined);
    void client.end().catch(() => undefined);
    this.#reconnecting = setTimeout(() => {
      this.#reconnecting = undefined;
      void this.#listen();
    }, RECONNECT_MS);
  }

  #wake(connectionId: string): void {
    for (const wake of [...(this.#waiting.get(connectionId) ?? [])]) wake();
  }
}
