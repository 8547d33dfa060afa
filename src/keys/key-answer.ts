import type { DataKeyStatus, KeysStatus } from '../vault/data-keys.js';
import { Field, list, nullable, oneOf, text, time, uuid, whole } from '../shared/schema.js';

/** A data key, as an answer shows it: never a byte of it. */
export class DataKeyAnswer {
  @Field(uuid()) readonly id!: string;
  @Field(
    oneOf(['active', 'retiring', 'retired']),
    'It seals what is new; or rows are still sealed by it; or none is, and it may be destroyed.',
  )
  readonly state!: DataKeyStatus['state'];
  @Field(time()) readonly created_at!: string;
  @Field(
    nullable(whole(1_200)),
    'Of which something is sealed by it; null where nobody could count them yet.',
  )
  readonly rows!: number | null;
  @Field(text('k1'), 'The id of the key in ENCRYPTION_KEYS that wraps it.') readonly wrapped_by!: string;
}

class KeyEncryptionKeyAnswer {
  @Field(text('k1'), 'As ENCRYPTION_KEYS has it.') readonly id!: string;
  @Field(whole(3), 'That it wraps, of every purpose; at 0 it may be taken out of ENCRYPTION_KEYS.')
  readonly data_keys!: number;
}

class KeyRotationAnswer {
  @Field(
    nullable(whole(300_000)),
    'Rows that an older key has sealed; null where nobody could count them yet.',
  )
  readonly rows_left!: number | null;
  @Field(nullable(whole(1_000_000)), 'Rows of which anything is sealed.') readonly rows!: number | null;
  @Field(nullable(time()), 'Millions of rows are counted seldom.') readonly counted_at!: string | null;
  @Field(
    nullable(text('counting what is sealed by which key: the database cannot be used (53300)'), true),
    'Why the replica that answers seals nothing anew, or cannot count; null where it can.',
  )
  readonly trouble!: string | null;
}

/** The data keys, the newest first, and how far they have been rotated. */
export class DataKeysAnswer {
  @Field(list(DataKeyAnswer)) readonly items!: readonly DataKeyAnswer[];
  @Field({ type: 'null', examples: [null] }, 'They are never so many that they would not fit.')
  readonly next_cursor!: null;
  @Field(KeyRotationAnswer) readonly rotation!: KeyRotationAnswer;
  @Field(list(KeyEncryptionKeyAnswer), 'In the order of ENCRYPTION_KEYS: the first wraps what is new.')
  readonly key_encryption_keys!: readonly KeyEncryptionKeyAnswer[];
}

export class RewrappedKeysAnswer extends DataKeysAnswer {
  @Field(whole(3), 'Data keys that the first key-encryption key wraps since just now.')
  readonly rewrapped!: number;
}

export function answerKey({ id, state, createdAt, rows, kekId }: DataKeyStatus): DataKeyAnswer {
  return { id, state, created_at: createdAt.toISOString(), rows, wrapped_by: kekId };
}

/** @param why the replica seals nothing anew */
export function answerKeys(status: KeysStatus, why: string | undefined): DataKeysAnswer {
  const { keys, rows, countedAt, wrappedBy, whyNotCounted } = status;
  return {
    items: keys.map(answerKey),
    next_cursor: null,
    rotation: {
      rows_left: rows?.left ?? null,
      rows: rows?.all ?? null,
      counted_at: countedAt?.toISOString() ?? null,
      trouble: why ?? whyNotCounted,
    },
    key_encryption_keys: [...wrappedBy].map(([id, count]) => ({ id, data_keys: count })),
  };
}
