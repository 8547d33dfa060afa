import { randomBytes, randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import type { KeyEncryptionKey } from '../config/encryption-keys.js';
import type { Settings } from '../config/settings.js';
import type { WrappedDataKey } from '../vault/data-key.store.js';
import { KeyServiceError } from '../vault/key-wrapping.js';
import { bindingOf, KEY_BYTES, unwrapBy } from '../vault/wrapping-keys.js';
import { wrappingOf } from '../vault/wrapping-of.js';
import { Findings, type Finding } from './finding.js';

/** What to do where a service is away, and where it refuses. */
const REMEDIES = {
  'aws-kms': [
    'Check AWS_KMS_ENDPOINT, where it is set, and whether this machine may connect to KMS in the region of the ARN.',
    'Check the ARN, and whether the credentials that this machine has (a role, or AWS_ACCESS_KEY_ID) may use kms:Encrypt and kms:Decrypt on it.',
  ],
  transit: [
    'Check VAULT_ADDR and VAULT_CACERT, whether it is unsealed, and whether this machine may connect to it.',
    'Check VAULT_TOKEN (it may have ended), VAULT_NAMESPACE, VAULT_TRANSIT_MOUNT and the name of the key; the token may need "update" on its encrypt and decrypt.',
  ],
} as const;

/** Whether everything that the database was sealed with can be opened by what is configured. */
export async function checkKeys(settings: Settings, dataSource: DataSource): Promise<readonly Finding[]> {
  const findings = new Findings('keys');
  const stored = await dataSource.query<WrappedDataKey[]>(
    'select id, purpose, kek_id as "kekId", wrapped from data_keys order by kek_id, id',
  );
  const wrappedBy = new Map<string, WrappedDataKey[]>();
  for (const key of stored) wrappedBy.set(key.kekId, [...(wrappedBy.get(key.kekId) ?? []), key]);
  const keys = settings.encryptionKeys.current;
  const configured = keys.map(({ id }) => id);
  for (const [id, its] of wrappedBy)
    if (!configured.includes(id))
      findings.problem(
        `${its.length} data keys are wrapped by "${id}", which ENCRYPTION_KEYS lacks (it has: ${configured.join(', ')})`,
        `Give back "${id}" with its former bytes, behind the others: without it nothing that it sealed can be read.`,
      );
  for (const key of keys) await tryKey(key, key === keys[0], wrappedBy.get(key.id) ?? [], settings, findings);
  const unused = configured.slice(1).filter((id) => !wrappedBy.has(id));
  if (unused.length > 0)
    findings.ok(`nothing is wrapped by ${unused.join(', ')}: it was replaced, or is not first yet`);
  if (stored.length === 0) findings.ok('nothing is sealed yet');
  else if (findings.all.every(({ level }) => level === 'ok'))
    findings.ok(
      `every key that the database names is configured, and opens what it wrapped (${[...wrappedBy.keys()].join(', ')})`,
    );
  return findings.all;
}

/** Opens what it has wrapped, as a start does; the first, which wraps new keys, has a trial to wrap, which is kept nowhere. */
async function tryKey(
  key: KeyEncryptionKey,
  isFirst: boolean,
  its: readonly WrappedDataKey[],
  { keyServices }: Settings,
  findings: Findings,
): Promise<void> {
  try {
    const wrapping = await wrappingOf(key, keyServices);
    let closed = 0;
    for (const each of its) {
      const plain = await unwrapBy(wrapping, each);
      if (!plain) closed += 1;
      plain?.fill(0);
    }
    if (isFirst)
      await wrapping.wrap(randomBytes(KEY_BYTES), bindingOf({ id: randomUUID(), purpose: 'seal' }));
    if (closed > 0)
      findings.problem(
        `"${key.id}" does not open ${closed} of ${its.length} data keys that name it`,
        `Give "${key.id}" back as it was, under its own id: what those keys have sealed cannot be read without it.`,
      );
    else if ('service' in key) findings.ok(`the service of "${key.id}" answers`);
  } catch (error) {
    if (!(error instanceof KeyServiceError) || !('service' in key)) throw error;
    const [away, refused] = REMEDIES[key.service];
    findings.problem(error.message, error.isAway ? away : refused);
  }
}
