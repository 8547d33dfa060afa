import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';

/** What a data key is for: sealing rows, fingerprints of tokens, or signing cookies. One key never serves two. */
export type KeyPurpose = 'seal' | 'fingerprint' | 'sign';

export interface WrappedDataKey {
  readonly id: string;
  readonly purpose: KeyPurpose;
  readonly kekId: string;
  readonly wrapped: Buffer;
}

/** Any number would do, as long as every replica takes the same one. */
const CREATION_LOCK = 7_405_927;

const ALL = `select id, purpose, kek_id as "kekId", wrapped from data_keys order by created_at desc, id`;
const INSERT = `insert into data_keys (id, purpose, kek_id, wrapped) values ($1, $2, $3, $4)`;

/** The only SQL on `data_keys`. */
@Injectable()
export class DataKeyStore {
  constructor(private readonly database: Database) {}

  /**
   * All data keys, newest first. Where a purpose has none yet, `create` makes it, once among all replicas that may
   * be starting now.
   */
  async loadOrCreate(
    purposes: readonly KeyPurpose[],
    create: (purpose: KeyPurpose) => WrappedDataKey,
  ): Promise<WrappedDataKey[]> {
    return this.database.transaction(async (run) => {
      await run({ text: 'select pg_advisory_xact_lock($1)' }, [CREATION_LOCK]);
      const keys = await run<WrappedDataKey>({ text: ALL });
      for (const purpose of purposes) {
        if (keys.some((key) => key.purpose === purpose)) continue;
        const key = create(purpose);
        await run({ text: INSERT }, [key.id, key.purpose, key.kekId, key.wrapped]);
        keys.unshift(key);
      }
      return keys;
    });
  }
}
