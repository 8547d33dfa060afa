import type { Settings } from '../config/settings.js';
import { Findings, type Finding } from './finding.js';

/** Whether those who are to call can. */
export function checkCallers(
  { clients, workloadIssuers, adminKey }: Settings,
  now: Date,
): readonly Finding[] {
  const findings = new Findings('callers');
  const issuers = new Set(workloadIssuers.map(({ issuer }) => issuer));
  for (const { name, workload, expiresAt, permissions } of clients ?? []) {
    if (workload && !issuers.has(workload.issuer))
      findings.problem(
        `client "${name}" speaks by ${workload.issuer}, which nobody believes`,
        'Name that issuer, to the letter, in WORKLOAD_ISSUERS.',
      );
    if (expiresAt && expiresAt <= now)
      findings.warn(
        `client "${name}" has ended at ${expiresAt.toISOString()}`,
        'Give it another expires_at in CLIENTS_FILE, or take it out.',
      );
    if (permissions.length === 0)
      findings.warn(
        `client "${name}" may do nothing`,
        'Give it permissions in CLIENTS_FILE, or take it out.',
      );
  }
  if (clients) findings.ok(`CLIENTS_FILE names ${clients.length} clients`);
  if (adminKey) findings.ok('ADMIN_KEY is set: it may do everything, and each use leaves a trace');
  return findings.all;
}
