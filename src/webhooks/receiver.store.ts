import { Injectable } from '@nestjs/common';
import { AuditStore } from '../audit/audit.store.js';
import { Database } from '../database/database.js';
import type { Actor } from '../shared/actor.js';
import { EVERYTHING } from '../shared/permission.js';
import { RECEIVER_SQL } from './receiver.sql.js';

/** How a receiver stands, over all replicas. */
export interface Receiver {
  readonly name: string;
  readonly events: readonly string[];
  /** What happened before is not told to it. */
  readonly since: Date;
  /** When it last stood in a replica's file. */
  readonly seenAt: Date;
  readonly disabledAt: Date | null;
  readonly failures: number;
  readonly closedUntil: Date | null;
  readonly lastError: string | null;
  readonly lastStatus: number | null;
  readonly lastFailedAt: Date | null;
  readonly lastDeliveredAt: Date | null;
  readonly waiting: number;
  readonly oldestWaitingSince: Date | null;
  readonly oldestWaitingS: number;
  readonly dead: number;
}

/** An event as it is told, or was, to one receiver. */
export interface SeenDelivery {
  readonly id: string;
  readonly type: string;
  readonly at: Date;
  readonly content: Readonly<Record<string, unknown>>;
  readonly state: 'waiting' | 'delivered' | 'dead';
  readonly attempts: number;
  readonly lastError: string | null;
  readonly lastStatus: number | null;
  readonly dueAt: Date | null;
  readonly settledAt: Date | null;
}

/** Which of the deliveries that are over are to be made again. */
export interface Resending {
  readonly since: Date | null;
  readonly eventId: string | null;
}

type Rows<T> = T & Record<string, unknown>;

/** Receivers as people see them. */
@Injectable()
export class ReceiverStore {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditStore,
  ) {}

  /** Events of which it is not known yet whom they are for. */
  async countUnspread(): Promise<number> {
    const [row] = await this.database.run<{ unspread: number }>(RECEIVER_SQL.countUnspread);
    return row?.unspread ?? 0;
  }

  async list(): Promise<Receiver[]> {
    return this.database.run<Rows<Receiver>>(RECEIVER_SQL.list, [null]);
  }

  async find(name: string): Promise<Receiver | undefined> {
    const [row] = await this.database.run<Rows<Receiver>>(RECEIVER_SQL.list, [name]);
    return row;
  }

  /** Newest first; those before the event `afterId`. */
  async deliveries(
    name: string,
    state: SeenDelivery['state'] | null,
    afterId: string | null,
    limit: number,
  ): Promise<SeenDelivery[]> {
    return this.database.run<Rows<SeenDelivery>>(RECEIVER_SQL.deliveries, [name, state, afterId, limit]);
  }

  /** False where there is none of this name. */
  async resume(name: string, actor: Actor): Promise<boolean> {
    return this.database.transaction(async (run) => {
      if ((await run(RECEIVER_SQL.lock, [name])).length === 0) return false;
      await run(RECEIVER_SQL.resume, [name]);
      await this.audit.write(run, changeOfReceiver(actor, 'webhooks_resumed'));
      return true;
    });
  }

  /** How many are told again; undefined where there is no receiver of this name. */
  async resend(name: string, { since, eventId }: Resending, actor: Actor): Promise<number | undefined> {
    return this.database.transaction(async (run) => {
      if ((await run(RECEIVER_SQL.lock, [name])).length === 0) return undefined;
      await run(RECEIVER_SQL.resume, [name]);
      const [row] = await run<{ resent: number }>(RECEIVER_SQL.resend, [name, since, eventId]);
      await this.audit.write(run, changeOfReceiver(actor, 'webhooks_resent'));
      return row?.resent ?? 0;
    });
  }
}

function changeOfReceiver(actor: Actor, reason: string): Parameters<AuditStore['write']>[1] {
  return { actor, action: 'provider:admin', outcome: 'allowed', resource: EVERYTHING, reason };
}
