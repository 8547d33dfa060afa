import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { FAILURE_CODES } from '../../src/provider/token-provider.js';
import { CONNECTION_CODES, OWN_CODES } from '../../src/token/connection-code.js';
import { STATUSES } from '../../src/token/connection.js';

/** Where a code is written into a row, or is about to be. */
const WRITTEN = [
  /\b(?:statusReason|lastError|code): '([a-z_]+)'/g,
  /\b(?:dead|unavailable|revocations\.(?:revoke|noteEnded))(?:\(|\([^()]*,\s)'([a-z_]+)'/g,
];

/** Every quoted word of SQL that sets a reason or an error. */
const IN_SQL = /^.*\b(?:status_reason|last_error) = .*$/gm;

describe('the codes of connections', () => {
  const sources = globSync('src/**/*.ts').filter((file) => !file.endsWith('.spec.ts'));
  const written = new Set<string>();
  for (const file of sources) {
    const text = readFileSync(file, 'utf8');
    const engine = /Connection|FailureCode|Outcome/.test(text);
    if (engine)
      for (const rule of WRITTEN) for (const [, code = ''] of text.matchAll(rule)) written.add(code);
    if (!/\.sql\.ts$/.test(file) || !/update connections/.test(text)) continue;
    for (const [line] of text.matchAll(IN_SQL))
      for (const [, word = ''] of line.matchAll(/'([a-z_]+)'/g)) written.add(word);
  }

  it('that the source writes are all in the list that has words for each', () => {
    const known: readonly string[] = [...CONNECTION_CODES, ...STATUSES];
    const problems = readFileSync('src/shared/problem.ts', 'utf8');
    expect(
      [...written].filter((code) => !known.includes(code) && !problems.includes(`  ${code}: [`)),
    ).toEqual([]);
    expect(OWN_CODES.filter((code) => !written.has(code))).toEqual([]);
    expect(FAILURE_CODES.filter((code) => written.has(code)).length).toBeGreaterThan(12);
  });
});
