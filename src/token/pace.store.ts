import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { QueryResultRow } from 'pg';
import type { SharedProviderSettings } from '../config/provider-settings.js';
import { Database, type Statement } from '../database/database.js';
import { CallsInFlight, type BegunCalls } from './calls-in-flight.js';
import { bucketsOf } from './pace.js';
import { PACE_SQL } from './pace.sql.js';
import { leaseSeconds, readRoom, type Room, type RoomRow } from './room.js';

/** Whose room it is, and for how long that counts should this process not come back. */
export interface Asking {
  readonly settings: SharedProviderSettings;
  /** Fingerprint of the client credentials in force. */
  readonly credentials: string;
}

const TAKE_EXCHANGE = PACE_SQL.take('exchange');

/** How fast providers are asked, over all replicas: the part of `provider_states` that every call changes. */
@Injectable()
export class PaceStore {
  /** Names this process in the leases that it takes. */
  readonly #owner = randomUUID();

  constructor(
    private readonly database: Database,
    private readonly calls: CallsInFlight,
  ) {}

  /**
   * Runs a statement that begins with what ASKED lists, and calls it by the name under which its calls are to be ended. Leases
   * of those who did not come back are taken only once all have had one more term since the database was away: the answer
   * that a holder could not write comes first.
   */
  async asking<Row extends RoomRow & QueryResultRow>(
    { settings, credentials }: Asking,
    statement: Statement,
    values: readonly unknown[],
  ): Promise<{ rows: Row[]; begun: BegunCalls }> {
    const provider = settings.name;
    const { holder, ended } = this.calls.tell(provider);
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
      return { rows, begun: { provider, holder } };
    } catch (error) {
      this.calls.doubt(provider);
      throw error;
    }
  }

  /** Room for one call that is about no connection; whoever gets `begun` says when it has ended. */
  async takeForExchange(asking: Asking): Promise<{ room: Room; begun: BegunCalls | undefined }> {
    const { rows, begun } = await this.asking<RoomRow & QueryResultRow>(asking, TAKE_EXCHANGE, []);
    const room = readRoom(rows[0]);
    if (!room) throw new Error(`${asking.settings.name}: the row that was just made sure of is gone`);
    return { room, begun: room.calls > 0 ? begun : undefined };
  }

  /** Tells the others what has ended here since they were last told, where that is news. */
  async tellEnded(provider: string): Promise<void> {
    const untold = this.calls.untold(provider);
    if (untold) await this.database.run(PACE_SQL.ended, [provider, untold.holder, untold.ended]);
  }

  /** A call worked: a token, or a verdict on a grant. */
  async worked({ name, concurrency }: SharedProviderSettings): Promise<void> {
    await this.database.run(PACE_SQL.worked, [name, concurrency]);
  }

  /** The way there failed for this connection. True where that closes the provider. */
  async failed({ name }: SharedProviderSettings, connectionId: string): Promise<boolean> {
    const [row] = await this.database.run<{ closed: boolean | null }>(PACE_SQL.failed, [
      name,
      connectionId,
      Math.random(),
    ]);
    return row?.closed === true;
  }

  async rateLimited({ name }: SharedProviderSettings, seconds: number): Promise<void> {
    await this.database.run(PACE_SQL.rateLimited, [name, seconds]);
  }
}
