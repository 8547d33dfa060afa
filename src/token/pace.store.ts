import { randomUUID } from 'node:crypto';
import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type { QueryResultRow } from 'pg';
import type { SharedProviderSettings } from '../config/provider-settings.js';
import { Database, type Statement } from '../database/database.js';
import { Problem } from '../shared/problem.js';
import { CallsInFlight, type BegunCalls, type Counted } from './calls-in-flight.js';
import { bucketsOf } from './pace.js';
import type { ClaimedConnection } from './connection.js';
import { PACE_SQL } from './pace.sql.js';
import { leaseSeconds, readRoom, type Room, type RoomRow } from './room.js';

/** Whose room it is, and for how long that counts should this process not come back. */
export interface Asking {
  readonly settings: SharedProviderSettings;
  /** Fingerprint of the client credentials in force. */
  readonly credentials: string;
}

/** Whoever is done mostly takes room for the next, and tells with that; after these milliseconds it is told for itself. */
const TELL_AFTER_MS = 50;

const TAKE_EXCHANGE = PACE_SQL.take('exchange');

/** How fast providers are asked, over all replicas: the part of `provider_states` that every call changes. */
@Injectable()
export class PaceStore implements BeforeApplicationShutdown {
  /** Names this process in the leases that it takes. */
  readonly #owner = randomUUID();
  /** What tells the others soon. */
  readonly #telling = new Map<string, { ended: BegunCalls; timer: NodeJS.Timeout }>();

  constructor(
    private readonly database: Database,
    private readonly calls: CallsInFlight,
  ) {
    calls.onEnd((ended) => this.#tellSoon(ended));
  }

  /** What the others believe to be in flight here would keep its places until its time is over. */
  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([...this.#telling.values()].map(({ ended }) => this.#tellEnded(ended)));
  }

  /**
   * Runs a statement that begins with what ASKED lists, and calls it by the name under which its calls are to be ended. Leases
   * of those who did not come back are taken only once all have had one more term since the database was away: the answer
   * that a holder could not write comes first.
   */
  async asking<Row extends RoomRow & QueryResultRow>(
    { settings, credentials }: Asking,
    statement: Statement,
    values: readonly unknown[],
    counted: Counted = 'renewals',
  ): Promise<{ rows: Row[]; begun: BegunCalls }> {
    const provider = settings.name;
    const { holder, ended } = this.calls.tell(provider, counted);
    const { depth, perSecond } = bucketsOf(settings).all;
    const leaseS = leaseSeconds(settings);
    const crashedToo = this.database.secondsSinceAway() > leaseS;
    const asked = [provider, this.#owner, leaseS, holder, ended, depth, perSecond, settings.concurrency];
    const run = async (): Promise<Row[]> =>
      this.database.run<Row>(statement, [...asked, crashedToo, credentials, ...values]);
    try {
      let rows = await run();
      if (rows[0]?.rowMissing) {
        await this.database.run(PACE_SQL.ensure, [provider]);
        rows = await run();
      }
      return { rows, begun: { provider, counted, holder } };
    } catch (error) {
      this.calls.doubt(provider, counted);
      throw error;
    }
  }

  /** Room for one call that is about no connection; whoever gets `begun` says when it has ended. */
  async takeForExchange(asking: Asking): Promise<{ room: Room; begun: BegunCalls | undefined }> {
    const { rows, begun } = await this.asking<RoomRow & QueryResultRow>(asking, TAKE_EXCHANGE, [], 'exchanges');
    const room = readRoom(rows[0]);
    if (!room) throw new Error(`${asking.settings.name}: the row that was just made sure of is gone`);
    return { room, begun: room.calls > 0 ? begun : undefined };
  }

  /** A call worked: a token, or a verdict on a grant. */
  async worked({ name, concurrency }: SharedProviderSettings): Promise<void> {
    await this.database.run(PACE_SQL.worked, [name, concurrency]);
  }

  /** The way there failed for this connection, in a call that began at `now`. True where that closes the provider. */
  async failed(
    { name }: SharedProviderSettings,
    { id, now }: Pick<ClaimedConnection, 'id' | 'now'>,
  ): Promise<boolean> {
    const values = [name, id, Math.random(), now];
    const [row] = await this.database.run<{ closed: boolean | null }>(PACE_SQL.failed, values);
    return row?.closed === true;
  }

  /** True where that is news. */
  async rateLimited({ name }: SharedProviderSettings, seconds: number): Promise<boolean> {
    const [row] = await this.database.run<{ isNews: boolean }>(PACE_SQL.rateLimited, [name, seconds]);
    return row?.isNews === true;
  }

  #tellSoon(ended: BegunCalls): void {
    const key = `${ended.counted} ${ended.provider}`;
    if (this.#telling.has(key)) return;
    const timer = setTimeout(() => void this.#tellEnded(ended), TELL_AFTER_MS);
    this.#telling.set(key, { ended, timer });
  }

  /** Tells the others what has ended here since they were last told, where that is news. */
  async #tellEnded({ provider, counted }: BegunCalls): Promise<void> {
    const key = `${counted} ${provider}`;
    clearTimeout(this.#telling.get(key)?.timer);
    this.#telling.delete(key);
    const untold = this.calls.untold(provider, counted);
    if (!untold) return;
    try {
      await this.database.run(PACE_SQL.ended, [provider, untold.holder, untold.ended]);
    } catch (error) {
      // The next that takes room tells it, or its time is over.
      if (!(error instanceof Problem)) throw error;
    }
  }
}
