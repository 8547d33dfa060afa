import { Injectable } from '@nestjs/common';
import { Database, type Run } from '../database/database.js';

/** What a data key is for: sealing rows, fingerprints of tokens, or signing cookies. One key never serves two. */
export type KeyPurpose = 'seal' | 'fingerprint' | 'sign';

export interface WrappedDataKey {
  readonly id: string;
  readonly purpose: KeyPurpose;
  readonly kekId: string;
  readonly wrapped: Buffer;
}

/** As the database has it. */
export interface StoredDataKey extends WrappedDataKey {
  readonly createdAt: Date;
  /** By the database's clock. */
  readonly now: Date;
}

/** Any number would do, as long as every replica takes the same one. */
const CHANGE_LOCK = { text: 'select pg_advisory_xact_lock(7405927)' };

const ALL = {
  name: 'data_keys_all',
  text: `select id, purpose, kek_id as "kekId", wrapped, created_at as "createdAt", broker_now() as now
         from data_keys order by created_at desc, id`,
};
/** The other replicas are told when it is committed; they look from time to time, too. */
const INSERT = {
  text: `with made as (insert into data_keys (id, purpose, kek_id, wrapped) values ($1, $2, $3, $4) returning id)
         select made.id, pg_notify('keys', made.id::text) from made`,
};
const REWRAP = {
  text: `with kept as (update data_keys set kek_id = $3, wrapped = $4 where id = $1 and kek_id = $2 returning id)
         select kept.id, pg_notify('keys', kept.id::text) from kept`,
};
const DELETE = {
  text: `with gone as (delete from data_keys where id = $1 returning id)
         select gone.id, pg_notify('keys', gone.id::text) from gone`,
};

/** The only SQL on `data_keys`. */
@Injectable()
export class DataKeyStore {
  constructor(private readonly database: Database) {}

  /** All data keys, newest first. */
  async list(run: Run | Database['run'] = this.database.run.bind(this.database)): Promise<StoredDataKey[]> {
    return run<StoredDataKey>(ALL);
  }

  /** Keeps those whose purpose has no key yet: once among all replicas that may be starting now. */
  async addFirst(keys: readonly WrappedDataKey[]): Promise<void> {
    await this.change(async (run) => {
      const there = await this.list(run);
      for (const key of keys)
        if (!there.some(({ purpose }) => purpose === key.purpose)) await this.add(run, key);
    });
  }

  /** One change of keys at a time, among all replicas. Nothing but SQL may be waited for inside. */
  async change<T>(work: (run: Run) => Promise<T>): Promise<T> {
    return this.database.transaction(async (run) => {
      await run(CHANGE_LOCK);
      return work(run);
    });
  }

  async add(run: Run, { id, purpose, kekId, wrapped }: WrappedDataKey): Promise<void> {
    await run(INSERT, [id, purpose, kekId, wrapped]);
  }

  /** False where it is wrapped by another key than `former` by now. */
  async rewrap(run: Run, { id, kekId, wrapped }: WrappedDataKey, former: string): Promise<boolean> {
    return (await run(REWRAP, [id, former, kekId, wrapped])).length > 0;
  }

  async delete(run: Run, id: string): Promise<void> {
    await run(DELETE, [id]);
  }
}
