import 'reflect-metadata';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { argv, exit, stderr, stdout, version } from 'node:process';
import { benchStrangers } from './callers/strangers.js';
import { benchClaim } from './engine/claim.js';
import { benchDrain } from './engine/drain.js';
import { benchReads } from './reads/reads.js';
import { isReached, renderTable, type Finding } from './findings.js';
import { readOptions, USAGE, type Options } from './options.js';
import { Progress } from './progress.js';

/** What `npm run bench` runs, in this order. */
const PARTS: Readonly<Record<string, (options: Options, progress: Progress) => Promise<Finding[]>>> = {
  claim: benchClaim,
  drain: benchDrain,
  reads: benchReads,
  strangers: benchStrangers,
};

/** As in sysexits.h: the command was used wrongly. */
const EXIT_USAGE = 64;

function options(): Options {
  try {
    return readOptions(argv.slice(2), Object.keys(PARTS));
  } catch (error) {
    stderr.write(`bench: ${(error as Error).message}\n${USAGE}`);
    exit(EXIT_USAGE);
  }
}

const given = options();
const progress = new Progress();
const findings: Finding[] = [];
for (const name of given.parts) findings.push(...((await PARTS[name]?.(given, progress)) ?? []));

mkdirSync(dirname(given.out), { recursive: true });
const told = findings.map((finding) => ({ ...finding, reached: isReached(finding) ?? null }));
const machine = { processors: availableParallelism(), node: version };
writeFileSync(given.out, `${JSON.stringify({ machine, options: given, findings: told }, null, 2)}\n`);
stdout.write(`\n${renderTable(findings)}\n\n${given.out}\n`);
// A goal that is missed is a finding, not a failure of the benchmark: on a busy machine it may be missed by chance.
exit(0);
