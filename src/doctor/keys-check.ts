import type { DataSource } from 'typeorm';
import type { Settings } from '../config/settings.js';
import { Findings, type Finding } from './finding.js';

/** Whether everything that the database was sealed with can be opened by what is configured. */
export async function checkKeys(settings: Settings, dataSource: DataSource): Promise<readonly Finding[]> {
  const findings = new Findings('keys');
  const rows = await dataSource.query<{ id: string; keys: number }[]>(
    'select kek_id as id, count(*)::int as keys from data_keys group by 1 order by 1',
  );
  const configured = settings.encryptionKeys.current.map(({ id }) => id);
  for (const { id, keys } of rows.filter((row) => !configured.includes(row.id)))
    findings.problem(
      `${keys} data keys are wrapped by "${id}", which ENCRYPTION_KEYS lacks (it has: ${configured.join(', ')})`,
      `Give back "${id}" with its former bytes, behind the others: without it nothing that it sealed can be read.`,
    );
  const unused = configured.slice(1).filter((id) => !rows.some((row) => row.id === id));
  if (unused.length > 0)
    findings.ok(`nothing is wrapped by ${unused.join(', ')} any more: ENCRYPTION_KEYS may do without`);
  if (rows.length === 0) findings.ok('nothing is sealed yet');
  else if (findings.all.every(({ level }) => level === 'ok'))
    findings.ok(`every key that the database names is configured (${rows.map(({ id }) => id).join(', ')})`);
  return findings.all;
}
