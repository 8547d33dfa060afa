import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const COLUMNS = [
  ['scenario', 'scenario'],
  ['connections', 'connections'],
  ['lost', 'lost'],
  ['of that in flight', 'lostInFlight'],
  ['reused', 'reused'],
  ['spent again', 'spentAgain'],
  ['out of order', 'outOfOrder'],
  ['stuck', 'stuck'],
  ['calls', 'calls'],
  ['most for one', 'mostCalls'],
  ['seconds', 'seconds'],
];

/** Collects what the scenarios of a run found, prints it as one table at its end and writes it as JSON. */
export default class FaultReporter {
  #lines = `${process.env.FAULTS_REPORT}`;

  onRunStart() {
    rmSync(this.#lines, { force: true });
    mkdirSync(dirname(this.#lines), { recursive: true });
  }

  onRunComplete(_contexts, { numPassedTests, numFailedTests }) {
    const findings = existsSync(this.#lines)
      ? readFileSync(this.#lines, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : [];
    const path = this.#lines.replace(/l$/, '');
    const passed = { passed: numPassedTests, failed: numFailedTests };
    writeFileSync(path, `${JSON.stringify({ ...passed, findings }, undefined, 2)}\n`);
    process.stdout.write(`\n${tableOf(findings)}\n\nwritten to ${path}\n`);
  }
}

function tableOf(findings) {
  const rows = findings.map((finding) => {
    const all = { ...finding, lostInFlight: finding.reasons.lost_in_flight ?? 0 };
    return COLUMNS.map(([, field]) => String(all[field]));
  });
  const table = [COLUMNS.map(([title]) => title), ...rows];
  const widths = COLUMNS.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
        .join('  '),
    )
    .join('\n');
}
