import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { QueryResultRow } from 'pg';
import type { SharedProviderSettings } from '../config/provider-settings.js';
import { Database, type Statement } from '../database/database.js';
import { CallsInFlight, type BegunCalls, type Counted } from './calls-in-flight.js';
import { bucketsOf } from './pace.js';
import { PACE_SQL } from './pace.sql.js';
import { ProviderStateStore } from './provider-state.store.js';
import { leaseSeconds, readRoom, type Room, type RoomRow } from './room.js';

/** Whose room it is, and for how long that counts should this process not come back. */
export interface Asking {
  readonly settings: SharedProviderSettings;
  /** Fingerprint of the client credentials in force. */
  readonly credentials: string;
}

const TAKE = { exchange: PACE_SQL.take('exchange'), proof: PACE_SQL.take('proof') };

/** How fast providers are asked, over all replicas: the part of `provider_states` that every call changes. */
@Injectable()
export class PaceStore {
  /** Names this process in the leases that it takes. */
  readonly #owner = randomUUID();

  constructor(
    private readonly database: Database,
    private readonly calls: CallsInFlight,
    private readonly states: ProviderStateStore,
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
    counted: Counted = 'renewals',
  ): Promise<{ rows: Row[]; begun: BegunCalls }> {
    const provider = settings.name;
    const { holder, ended } = this.calls.read(provider, counted);
    const begun = { provider, counted, holder };
    const { depth, perSecond } = bucketsOf(settings).all;
    const leaseS = leaseSeconds(settings);
    const crashedToo = this.database.secondsSinceAway() > leaseS;
    const asked = [provider, this.#owner, leaseS, holder, ended, depth, perSecond, settings.concurrency];
    const run = async (): Promise<Row[]> =>
      this.database.run<Row>(statement, [...asked, crashedToo, credentials, ...values]);
    try {
      let rows = await run();
      if (rows[0]?.rowMissing) {
        await this.states.ensure([provider]);
        rows = await run();
      }
      if ((rows[0]?.taken ?? 0) > 0) this.calls.told(begun, ended);
      return { rows, begun };
    } catch (error) {
      this.calls.doubt(provider, counted);
      throw error;
    }
  }

  /** Room for one call that is about no connection; whoever gets `begun` says when it has ended. */
  async take(
    asking: Asking,
    purpose: keyof typeof TAKE,
  ): Promise<{ room: Room; begun: BegunCalls | undefined }> {
    const statement = TAKE[purpose];
    const { rows, begun } = await this.asking<RoomRow & QueryResultRow>(asking, statement, [], 'exchanges');
    const room = readRoom(rows[0]);
    if (!room) throw new Error(`${asking.settings.name}: the row that was just made sure of is gone`);
    return { room, begun: room.calls > 0 ? begun : undefined };
  }

  /**
   * A call has ended. The next statement that takes room tells the others; where room is short, they are told at once.
   */
  end(begun: BegunCalls, isShort: boolean): void {
    this.calls.end(begun);
    if (isShort) void this.tellEnded(begun.provider).catch(() => undefined);
  }

  /** Tells the others what has ended here, where that is news. */
  async tellEnded(provider: string): Promise<void> {
    for (const counted of ['renewals', 'exchanges'] as const) {
      const { holder, ended, told } = this.calls.read(provider, counted);
      if (told >= ended) continue;
      await this.database.run(PACE_SQL.ended, [provider, holder, ended]);
      this.calls.told({ provider, counted, holder }, ended);
    }
    for (const { holder, ended } of this.calls.takeUntoldDoubted(provider)) {
      await this.database.run(PACE_SQL.ended, [provider, holder, ended]);
    }
  }

  /** A call for which there was this room worked: a token, or a verdict on a grant. */
  async worked({ name, concurrency }: SharedProviderSettings, { at }: Room): Promise<void> {
    await this.database.run(PACE_SQL.worked, [name, concurrency, at]);
  }

  /** The way there failed for this connection. True where that closes the provider. */
  async failed({ name }: SharedProviderSettings, connectionId: string, { at }: Room): Promise<boolean> {
    const [row] = await this.database.run<{ closed: boolean | null }>(PACE_SQL.failed, [
      name,
      connectionId,
      Math.random(),
      at,
    ]);
    return row?.closed === true;
  }

  /** It said that it is asked too often. True where that is news. */
  async rateLimited({ name }: SharedProviderSettings, seconds: number): Promise<boolean> {
    const [row] = await this.database.run<{ isNews: boolean }>(PACE_SQL.rateLimited, [name, seconds]);
    return row?.isNews === true;
  }
}
