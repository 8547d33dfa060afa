import { writeFileSync } from 'node:fs';
import { stdout } from 'node:process';
import { onStage, type Stage } from '../engine/stage.js';
import type { Finding } from '../findings.js';
import { Generator } from '../load/generator.js';
import type { Options } from '../options.js';
import type { Progress } from '../progress.js';
import type { CellName } from './cell-names.js';
import { Measured, type Pace, runRound, timesAsked } from './cells.js';
import { Contenders, type Databases } from './contenders.js';
import { countLookups } from './lookups.js';
import { measureMemory } from './memory.js';
import { drawReads } from './picture.js';
import { makeReadable, type Readable } from './readable.js';
import { type StartTimes, timeStarts } from './start-times.js';
import { renderMarkdown, rowsOf, type Row } from './table.js';
import { judgeReads, type Results } from './verdict.js';

const ROUNDS = 5;
/**
 * What goes before a load uncounted, in proportion to its time. Long enough for each of ten thousand to be read once: that begins
 * an event in the trail, which in seconds would be thirty times as often as in minutes of such reads.
 */
const LEAD = 0.5;
/** A quarter of what a database of a million connections is given (docs/operations.md). */
const SHARED_BUFFERS = '2GB';
/** A memory that is to be looked at rests for so many times as long as a load takes. */
const REST = 5;
/** After reads for so many times as long: what the trail folds of a minute is memory until that is over. */
const REST_AFTER_READS = 31;
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
    const contenders = new Contenders();
    try {
      const cached = Math.min(CACHED, databases.large.count);
      progress.say(`reads: ${cached} connections for the memory`);
      const memory = await measureMemory(databases.large, cached, generator, {
        before: REST * options.seconds,
        after: REST_AFTER_READS * options.seconds,
      });
      const compared = await compare(databases, contenders, generator, options, progress);
      await contenders.stop();
      const lookups = {
        warm: (await countLookups(databases.small)) / compared.asked.warm,
        cold: (await countLookups(databases.smallCold)) / compared.asked.cold,
      };
      return report({ ...compared, memory, cached, lookups }, options);
    } finally {
      await contenders.stop();
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
  readonly asked: { readonly warm: number; readonly cold: number };
}

async function compare(
  databases: Databases,
  contenders: Contenders,
  generator: Generator,
  options: Options,
  progress: Progress,
): Promise<Compared> {
  const { clients, seconds, rounds = ROUNDS } = options;
  const compared = clients[1] ?? clients[0] ?? 1;
  const pace: Pace = { clients, seconds, leadSeconds: LEAD * seconds };
  const profile = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
  const cells = await contenders.start(databases, (1 + LEAD) * seconds, profile);
  // What has just started is slower for a while: the first round does not count.
  await runRound(cells, pace, generator, new Measured(), false);
  const measured = new Measured();
  const starts: StartTimes[] = [];
  const tell = progress.step('reads: rounds', rounds);
  for (let round = 1; round <= rounds; round += 1) {
    await runRound(cells, pace, generator, measured, round % 2 === 0);
    starts.push(await timeStarts(databases.small.surroundings));
    tell(round);
  }
  const timesOf = (name: CellName): number => {
    const cell = cells.find((one) => one.name === name);
    return cell ? timesAsked(cell.contender) : NaN;
  };
  const asked = { warm: timesOf('one'), cold: timesOf('coldSmall') };
  const sizes = { small: databases.small.count, large: databases.large.count };
  return { measured, clients, compared, sizes, starts, asked, renewals: contenders.renewals?.rates ?? [] };
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
