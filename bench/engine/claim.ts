import { performance } from 'node:perf_hooks';
import { percentile, type Finding } from '../findings.js';
import type { Options } from '../options.js';
import type { Progress } from '../progress.js';
import { ClaimTable } from './claim-table.js';
import { onStage, type Stage } from './stage.js';

/** Connections of one claim of the schedule. */
const BATCH = 20;
/** Claims before the first that counts: plans, caches and prepared statements. */
const WARM_UP = 20;

/** What the calendar looks like, and what is done before and after a claim so that it goes on looking so. */
interface Situation {
  readonly name: string;
  readonly begin: (table: ClaimTable) => Promise<void>;
  readonly before: (table: ClaimTable) => Promise<void>;
  readonly claim: (table: ClaimTable) => Promise<number>;
  /** How many a claim is to bring. */
  readonly brings: number;
}

const nothing = (): Promise<void> => Promise.resolve();

/** As the tables were filled, and then after the one change of all rows: of ten million that takes long. */
const SITUATIONS: readonly Situation[] = [
  {
    name: 'nothing due',
    begin: nothing,
    before: nothing,
    claim: (table) => table.claimDue(BATCH),
    brings: 0,
  },
  {
    name: 'a few due',
    begin: nothing,
    before: (table) => table.makeSomeDue(BATCH),
    claim: (table) => table.claimDue(BATCH),
    brings: BATCH,
  },
  {
    name: 'one, for a caller',
    begin: nothing,
    before: (table) => table.pickOne(),
    claim: (table) => table.claimPicked(),
    brings: 1,
  },
  {
    name: 'everything due',
    begin: (table) => table.makeAllDue(),
    before: nothing,
    claim: (table) => table.claimDue(BATCH),
    brings: BATCH,
  },
];

/**
 * How long a claim takes in a small and a large table, in turns, so that what else the machine does strikes both alike.
 * Commits do not wait for the disk: that time is the same for both, and would hide what differs.
 */
export async function benchClaim(options: Options, progress: Progress): Promise<Finding[]> {
  return onStage({ durable: false }, async (stage) => {
    const tables = await openTables(stage, options.rows, progress);
    try {
      const findings: Finding[] = [];
      for (const situation of SITUATIONS) {
        findings.push(...(await compare(situation, tables, options.batches, progress)));
      }
      return findings;
    } finally {
      for (const table of tables) await table.close();
    }
  });
}

async function openTables(
  stage: Stage,
  rows: readonly [number, number],
  progress: Progress,
): Promise<readonly [ClaimTable, ClaimTable]> {
  const open = async (name: string, count: number): Promise<ClaimTable> => {
    const table = await ClaimTable.open(stage, name);
    await table.fill(count, progress.step(`claim: rows of the ${name} table`, count));
    return table;
  };
  return [await open('small', rows[0]), await open('large', rows[1])];
}

async function compare(
  situation: Situation,
  tables: readonly [ClaimTable, ClaimTable],
  batches: number,
  progress: Progress,
): Promise<Finding[]> {
  const tell = progress.step(`claim: ${situation.name}`, batches);
  for (const table of tables) await situation.begin(table);
  const times = tables.map((): number[] => []);
  for (let batch = -WARM_UP; batch < batches; batch += 1) {
    for (const [index, table] of tables.entries()) {
      await situation.before(table);
      const began = performance.now();
      const brought = await situation.claim(table);
      const took = performance.now() - began;
      await table.giveBack();
      if (brought !== situation.brings)
        throw new Error(`${situation.name}: a claim brought ${brought}, not ${situation.brings}`);
      if (batch >= 0) times[index]?.push(took);
    }
    tell(batch + 1);
  }
  return summarize(situation.name, times as [number[], number[]]);
}

function summarize(name: string, [small, large]: readonly [number[], number[]]): Finding[] {
  const ms = (which: string, part: number, times: readonly number[]): Finding => ({
    name: `claim, ${name}: p${part * 100} in the ${which} table`,
    value: percentile(times, part),
    unit: 'ms',
  });
  const ratio = (part: number): number => percentile(large, part) / percentile(small, part);
  return [
    ms('small', 0.5, small),
    ms('large', 0.5, large),
    ms('small', 0.99, small),
    ms('large', 0.99, large),
    { name: `claim, ${name}: ratio of p50`, value: ratio(0.5), unit: 'times' },
    { name: `claim, ${name}: ratio of p99`, value: ratio(0.99), unit: 'times', goal: { atMost: 1.5 } },
  ];
}
