import type { DataKeyStatus, KeysStatus } from '../vault/data-keys.js';
import { Field, list, oneOf, text, time, uuid, whole } from '../shared/schema.js';

/** A data key, as an answer shows it: never a byte of it. */
export class DataKeyAnswer {
  @Field(uuid()) readonly id!: string;
  @Field(
    oneOf(['active', 'retiring', 'retired']),
    'It seals what is new; or rows are still sealed by it; or none is, and it may be destroyed.',
  )
  readonly state!: DataKeyStatus['state'];
  @Field(time()) readonly created_at!: string;
  @Field(whole(1_200), 'Of which something is sealed by it, as counted a moment ago.') readonly rows!: number;
  @Field(text('k1'), 'The id of the key in ENCRYPTION_KEYS that wraps it.') readonly wrapped_by!: string;
}

class KeyEncryptionKeyAnswer {
  @Field(text('k1'), 'As ENCRYPTION_KEYS has it.') readonly id!: string;
  @Field(whole(3), 'That it wraps, of every purpose; at 0 it may be taken out of ENCRYPTION_KEYS.')
  readonly data_keys!: number;
}

class KeyRotationAnswer {
  @Field(whole(300_000), 'Rows that an older key has sealed.') readonly rows_left!: number;
  @Field(whole(1_000_000), 'Rows of which anything is sealed.') readonly rows!: number;
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

export function answerKeys({ keys, rows, wrappedBy }: KeysStatus): DataKeysAnswer {
  return {
    items: keys.map(answerKey),
    next_cursor: null,
    rotation: { rows_left: rows.left, rows: rows.all },
    key_encryption_keys: [...wrappedBy].map(([id, count]) => ({ id, data_keys: count })),
  };
}
