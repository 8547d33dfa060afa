import { writeFileSync } from 'node:fs';
import { stdout } from 'node:process';
import { onStage, type Stage } from '../engine/stage.js';
import type { Finding } from '../findings.js';
import { Generator } from '../load/generator.js';
import type { Options } from '../options.js';
import type { Progress } from '../progress.js';
import type { CellName } from './cell-names.js';
import { type Group, runTurn, timesAsked, warmUp } from './cells.js';
import { Contenders, type Databases } from './contenders.js';
import { countLookups } from './lookups.js';
import { Measured } from './measured.js';
import { measureMemory } from './memory.js';
import { drawReads } from './picture.js';
import { makeReadable, type Readable } from './readable.js';
import { type StartTimes, timeStarts } from './start-times.js';
import { renderMarkdown, rowsOf, type Row } from './table.js';
import { judgeReads, type Results } from './verdict.js';

/** In each of them all are started anew: two processes of the same program are not equally fast. */
const ROUNDS = 5;
/** Of each group in a round. Many short ones, since what a machine is shared with comes and goes within seconds. */
const TURNS = 8;
/** Numbers of clients that no ratio is of are measured in one turn of so many. */
const OTHERS_EVERY = 4;
/** What goes before a load uncounted, in proportion to its time. */
const LEAD = 0.5;
/** What has just started is asked for so many times as long first, uncounted. */
const WARM_UP = 6;
/** A quarter of what a database of a million connections is given (docs/operations.md). */
const SHARED_BUFFERS = '2GB';
/** A memory that is to be looked at rests for so many times as long as a load takes. */
const REST = 20;
/** After reads for so many times as long: what the trail folds of a minute is memory until that is over. */
const REST_AFTER_READS = 124;
/** Connections that are read before the memory is looked at, if there are as many. */
const CACHED = 100_000;

/**
 * Fetches of tokens: warm and cold, alone and beside renewals, of many and of more; against servers that have less to do. All
 * in turns, so that what else the machine does hits everyone alike.
 */
export async function benchReads(options: Options, progress: Progress): Promise<Finding[]> {
  return onStage({ durable: false, sharedBuffers: SHARED_BUFFERS }, async (stage) => {
    const databases = await fill(stage, options, progress);
    const generator = new Generator();
    try {
      const cached = Math.min(CACHED, databases.large.count);
      progress.say(`reads: ${cached} connections for the memory`);
      const memory = await measureMemory(databases.large, cached, generator, {
        before: REST * options.seconds,
        after: REST_AFTER_READS * options.seconds,
      });
      const compared = await compare(databases, generator, options, progress);
      const lookups = {
        warm: (await countLookups(databases.small)) / compared.asked.warm,
        cold: (await countLookups(databases.smallCold)) / compared.asked.cold,
      };
      return report({ ...compared, memory, cached, lookups }, options);
    } finally {
      await generator.stop();
    }
  });
}

async function fill(stage: Stage, { rows }: Options, progress: Progress): Promise<Databases> {
  const [small, large] = rows;
  const make = (name: string, count: number): Promise<Readable> =>
    makeReadable(stage, name, count, progress.step(`reads: connections sealed (${name})`, count));
  return {
    small: await make('small', small),
    smallCold: await make('small_cold', small),
    large: await make('large', large),
  };
}

/** What all of them came to, and how often the brokers of the smaller databases were asked. */
interface Compared extends Omit<Results, 'memory' | 'cached' | 'lookups'> {
  readonly starts: StartTimes[];
  readonly renewals: number[];
  readonly asked: { warm: number; cold: number };
}

async function compare(
  databases: Databases,
  generator: Generator,
  options: Options,
  progress: Progress,
): Promise<Compared> {
  const { clients, rounds = ROUNDS } = options;
  const sizes = { small: databases.small.count, large: databases.large.count };
  const compared: Compared = {
    ...{ measured: new Measured(), clients, compared: clients[1] ?? clients[0] ?? 1, sizes },
    ...{ starts: [], renewals: [], asked: { warm: 0, cold: 0 } },
  };
  const tell = progress.step('reads: rounds', rounds);
  for (let round = 1; round <= rounds; round += 1) {
    const contenders = new Contenders();
    try {
      await runRound(await contenders.start(databases, profileOf(options)), compared, generator, options);
      compared.starts.push(await timeStarts(databases.small.surroundings));
      compared.renewals.push(...(contenders.renewals?.rates ?? []));
    } finally {
      await contenders.stop();
    }
    tell(round);
  }
  return compared;
}

/** Group after group, of those that have just started. */
async function runRound(
  groups: readonly Group[],
  { measured, clients, compared, asked }: Compared,
  generator: Generator,
  { seconds }: Options,
): Promise<void> {
  const pace = { seconds, leadSeconds: LEAD * seconds };
  for (const group of groups) {
    await warmUp(group, compared, { ...pace, seconds: WARM_UP * seconds }, generator);
    for (let turn = 0; turn < TURNS; turn += 1)
      for (const count of turn % OTHERS_EVERY === 0 ? clients : [compared])
        await runTurn(group, count, pace, { generator, measured, isBackwards: turn % 2 === 1 });
  }
  const timesOf = (name: CellName): number => {
    const cell = groups.flat().find((one) => one.name === name);
    return cell ? timesAsked(cell.contender) : NaN;
  };
  asked.warm += timesOf('one');
  asked.cold += timesOf('coldSmall');
}

function profileOf({ profile }: Options): string[] {
  return profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
}

/** Prints the tables, draws the picture; resolves to what is judged, and all details. */
function report(results: Results, { picture }: Options): Finding[] {
  const judged = judgeReads(results);
  const rows = rowsOf(results);
  stdout.write(`\n${renderMarkdown(judged, rows, results.sizes)}`);
  if (picture !== undefined) writeFileSync(picture, drawReads(rows, results.compared, results.sizes));
  return [...judged, ...rows.flatMap(detailsOf)];
}

function detailsOf(row: Row): Finding[] {
  const found = [
    ['rate', row.perSecond, 'a second'],
    ['p50', row.p50, 'ms'],
    ['p99', row.p99, 'ms'],
    ['p99.9', row.p999, 'ms'],
    ['processor time', row.micros, 'µs'],
    ['server', row.serverCores, 'cores'],
    ['generator', row.generatorCores, 'cores'],
    ['server busy', row.serverBusy, 'of the time'],
    ['generator busy', row.generatorBusy, 'of the time'],
  ] as const;
  return found.map(([what, value, unit]) => ({
    name: `reads, ${row.clients} clients, ${row.name}: ${what}`,
    value,
    unit,
    isDetail: true,
  }));
}
