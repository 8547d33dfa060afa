import { Injectable } from '@nestjs/common';
import type { WebhookReceiver } from '../config/webhooks-file.js';
import { Database } from '../database/database.js';
import { Secret } from '../shared/secret.js';
import { Vault } from '../vault/vault.js';
import { DELIVERY_SQL } from './delivery.sql.js';
import { GIVE_UP_AFTER_S, pauseAfter, type Attempted } from './retry.js';

/** Something that is to be told to somebody, in the hands of this replica. */
export interface Delivery {
  readonly receiver: string;
  readonly seq: string;
  /** This one counted. */
  readonly attempts: number;
  readonly id: string;
  readonly type: string;
  readonly at: Date;
  readonly content: Readonly<Record<string, unknown>>;
}

/** A receiver that stood in no replica's file for this long is forgotten, with all that waits for it, in seconds. */
const FORGOTTEN_AFTER_S = 86_400;

/** Who is told what, and how that went; the same for all replicas. */
@Injectable()
export class DeliveryStore {
  constructor(
    private readonly database: Database,
    private readonly vault: Vault,
  ) {}

  /** These stand in the file of this replica; `isNews` where it was just read. */
  async register(receivers: readonly WebhookReceiver[], isNews: boolean): Promise<void> {
    await this.database.run(DELIVERY_SQL.register, [
      receivers.map(({ name }) => name),
      receivers.map(({ events }) => JSON.stringify(events)),
      receivers.map(({ url }) => this.vault.fingerprint(new Secret(url))),
      isNews,
    ]);
  }

  async forgetReceivers(): Promise<void> {
    await this.database.run(DELIVERY_SQL.forget, [FORGOTTEN_AFTER_S]);
  }

  /** Finds out for whom the newest events are. True where there are more of them. */
  async spread(): Promise<boolean> {
    const [row] = await this.database.run<{ isMore: boolean }>(DELIVERY_SQL.spread);
    return row?.isMore ?? false;
  }

  /** Takes what is due, for each receiver up to so many. */
  async take(slots: ReadonlyMap<string, number>): Promise<Delivery[]> {
    return this.database.run<Delivery & Record<string, unknown>>(DELIVERY_SQL.take, [
      [...slots.keys()],
      [...slots.values()],
    ]);
  }

  /** Notes what came of it; true where it is given up with this. */
  async settle(
    { receiver, seq, attempts }: Delivery,
    { error, status, retryAfterS }: Attempted,
  ): Promise<boolean> {
    const taken = [receiver, seq, attempts];
    if (error === null) {
      await this.database.run(DELIVERY_SQL.delivered, [...taken, status]);
      return false;
    }
    const pauseS = pauseAfter(attempts, retryAfterS, Math.random);
    const values = [
      ...taken,
      pauseS,
      error,
      status,
      error === 'gone',
      GIVE_UP_AFTER_S,
      Math.random(),
      retryAfterS,
    ];
    const [row] = await this.database.run<{ isDead: boolean }>(DELIVERY_SQL.failed, values);
    return row?.isDead ?? false;
  }

  /** Gives back what was not tried. */
  async release({ receiver, seq, attempts }: Delivery): Promise<void> {
    await this.database.run(DELIVERY_SQL.release, [receiver, seq, attempts]);
  }
}
