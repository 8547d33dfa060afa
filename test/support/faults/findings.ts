import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** What one scenario came to, as the table at the end of a run shows it. */
export interface Finding {
  readonly scenario: string;
  readonly connections: number;
  /** Grants that do not renew at the provider any more, or whose served token it does not accept. */
  readonly lost: number;
  /** Refresh tokens that were sent after the provider had replaced them, when nobody could know. */
  readonly reused: number;
  /** Refresh tokens that were sent though what replaced them was committed. */
  readonly spentAgain: number;
  readonly outOfOrder: number;
  /** Rows under a lease when all was over. */
  readonly stuck: number;
  /** Calls to the provider. */
  readonly calls: number;
  /** The most for one connection. */
  readonly mostCalls: number;
  readonly seconds: number;
  /** How many of the lost ended for which reason. */
  readonly reasons: Readonly<Record<string, number>>;
}

/** Adds a line to the report of this run, where there is one. */
export function report(finding: Finding): void {
  const path = process.env['FAULTS_REPORT'];
  if (!path) return;
  mkdirSync(dirname(path), { recursive: true });
  appendFileSync(path, `${JSON.stringify(finding)}\n`);
  const { scenario, connections, lost, calls, seconds } = finding;
  process.stderr.write(
    `  ${scenario}: ${connections} connections, ${lost} lost, ${calls} calls, ${seconds} s\n`,
  );
}
