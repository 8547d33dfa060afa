import { Injectable, Logger } from '@nestjs/common';
import type { Run } from '../database/database.js';
import { Problem } from '../shared/problem.js';
import { DataKeyStore, type StoredDataKey, type WrappedDataKey } from './data-key.store.js';
import { within } from '../shared/within.js';
import { KeyCensus, rowsOf } from './key-census.js';
import { KeyRing } from './key-ring.js';
import { KeyServiceError } from './key-wrapping.js';

/** A data key that seals, or has sealed, rows. */
export interface DataKeyStatus {
  readonly id: string;
  /** `active`: it seals what is new. `retiring`: rows are sealed by it still, as far as is known. `retired`: none is. */
  readonly state: 'active' | 'retiring' | 'retired';
  readonly createdAt: Date;
  /** Null where they could not be counted yet. */
  readonly rows: number | null;
  /** The key-encryption key that wraps it. */
  readonly kekId: string;
}

export interface KeysStatus {
  /** The newest first. */
  readonly keys: readonly DataKeyStatus[];
  /** Rows of which anything is sealed, and those of them that an older key has sealed; null where they could not be counted yet. */
  readonly rows: { readonly all: number; readonly left: number } | null;
  readonly countedAt: Date | null;
  /** Why they cannot be counted now; null where they can. */
  readonly whyNotCounted: string | null;
  /** By key-encryption key, how many data keys of any purpose it wraps; 0 of one that is only configured here. */
  readonly wrappedBy: ReadonlyMap<string, number>;
}

/** Writes down that a key was changed, in the transaction that changes it. */
export type Note = (run: Run, reason: string) => Promise<void>;

/** By then nobody writes any more what was sealed by it: replicas know its successor, and no lease of then is left. Seconds. */
const DESTROY_AFTER_S = 300;

/** Whoever asks how it stands waits for a count of very many rows no longer. Milliseconds. */
const PATIENCE_MS = 5_000;

/** What operators do with keys. */
@Injectable()
export class DataKeys {
  readonly #logger = new Logger('Keys');

  constructor(
    private readonly store: DataKeyStore,
    private readonly ring: KeyRing,
    private readonly census: KeyCensus,
  ) {}

  /** @param patienceMs how long to wait for a count; then the last one stands */
  async status(patienceMs = PATIENCE_MS): Promise<KeysStatus> {
    const stored = await this.store.list();
    const census = (await within(this.census.lately(), patienceMs)) ?? this.census.last;
    const rowsBy = (ids: readonly string[]): number | null =>
      census ? rowsOf(census.counted, new Set(ids)) : null;
    const wrappedBy = new Map(this.ring.kekIds.map((id) => [id, 0]));
    for (const { kekId } of stored) wrappedBy.set(kekId, (wrappedBy.get(kekId) ?? 0) + 1);
    const keys = sealing(stored).map((key, index): DataKeyStatus => {
      const rows = rowsBy([key.id]);
      const state = index === 0 ? 'active' : rows === 0 ? 'retired' : 'retiring';
      return { id: key.id, state, createdAt: key.createdAt, rows, kekId: key.kekId };
    });
    const ids = keys.map(({ id }) => id);
    const [all, left] = [rowsBy(ids), rowsBy(ids.slice(1))];
    const rows = all !== null && left !== null ? { all, left } : null;
    const countedAt = census?.at ?? null;
    return { keys, rows, countedAt, wrappedBy, whyNotCounted: this.census.why ?? null };
  }

  /** A new data key, which every replica seals with from now on; its id. Throws Problem `key_service_unavailable`, or `not_ready`. */
  async rotate(note: Note): Promise<string> {
    await this.#refuseStranger();
    const key = await byService(() => this.ring.make('seal'));
    await this.store.change(async (run) => {
      await this.store.add(run, key);
      await note(run, 'rotated');
    });
    await this.ring.refresh();
    this.#logger.log(`data key ${key.id} seals what is new, under "${key.kekId}"`);
    return key.id;
  }

  /**
   * Has the first key-encryption key wrap all that another does; how many those were. What is sealed stays as it is. Throws
   * Problem `key_service_unavailable`.
   */
  async rewrap(note: Note): Promise<number> {
    const others = (await this.store.list()).filter(({ kekId }) => kekId !== this.ring.firstKekId);
    const wrapped: { readonly key: WrappedDataKey; readonly former: string }[] = [];
    for (const { kekId: former, ...other } of others) {
      const key = await byService(() => this.ring.rewrapped({ ...other, kekId: former }));
      if (!key)
        throw new Problem(
          'not_ready',
          `Data key ${other.id} is closed here: ${this.ring.whyLocked(other.id)}`,
        );
      wrapped.push({ key, former });
    }
    const rewrapped = await this.store.change(async (run) => {
      let done = 0;
      for (const { key, former } of wrapped) if (await this.store.rewrap(run, key, former)) done += 1;
      if (done > 0) await note(run, 'rewrapped');
      return done;
    });
    await this.ring.refresh();
    if (rewrapped > 0)
      this.#logger.log(`${rewrapped} data keys are wrapped by "${this.ring.firstKekId}" now`);
    return rewrapped;
  }

  /** Erases a data key that nothing is sealed by. Throws Problem `key_not_found` or `key_in_use`. */
  async destroy(id: string, note: Note): Promise<void> {
    await this.store.change(async (run) => {
      const keys = sealing(await this.store.list(run));
      const index = keys.findIndex((key) => key.id === id);
      if (index < 0) throw new Problem('key_not_found', 'There is no data key with this id that seals rows.');
      await this.#refuseNeeded(run, id, keys[index - 1]);
      await this.store.delete(run, id);
      await note(run, 'destroyed');
    });
    await this.ring.refresh();
    this.#logger.warn(`data key ${id} is destroyed`);
  }

  /**
   * Who opens none of the keys that are there has other key-encryption keys than the replicas: what it made would be closed to
   * all of them. One that is closed alone may be just the reason to make another.
   */
  async #refuseStranger(): Promise<void> {
    const locked = new Map(this.ring.locked.map(({ id, why }) => [id, why]));
    const closed = sealing(await this.store.list()).map(({ id }) => locked.get(id));
    const [why] = closed;
    if (why !== undefined && !closed.includes(undefined))
      throw new Problem('not_ready', `None of the data keys opens here, so that none is made: ${why}`);
  }

  async #refuseNeeded(run: Run, id: string, successor: StoredDataKey | undefined): Promise<void> {
    if (!successor) throw new Problem('key_in_use', 'It seals what is new: rotate first.');
    if (await this.census.isUsed(run, id))
      throw new Problem(
        'key_in_use',
        'Rows are still sealed by it; GET /v1/keys tells how many. Wait until there are none.',
      );
    const waitS = DESTROY_AFTER_S - (successor.now.getTime() - successor.createdAt.getTime()) / 1_000;
    if (waitS > 0)
      throw new Problem(
        'key_in_use',
        'A moment ago it was in use, and something may still be written that it has sealed.',
        {
          retry_after: Math.ceil(waitS),
        },
      );
  }
}

/** Of all data keys those that seal rows, newest first. */
function sealing(keys: readonly StoredDataKey[]): StoredDataKey[] {
  return keys.filter(({ purpose }) => purpose === 'seal');
}

async function byService<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof KeyServiceError)) throw error;
    throw new Problem('key_service_unavailable', `${error.message}; nothing was changed.`, {
      retry_after: 5,
    });
  }
}
