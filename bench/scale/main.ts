import { writeFile } from 'node:fs/promises';
import { argv, memoryUsage, stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { drawPicture } from './picture.js';
import { run } from './results.js';
import { longOutage, poisonedCompany, shortOutage, tooManyRequests, type Scenario } from './scenario.js';
import { tableOf } from './table.js';

const PICTURE = fileURLToPath(new URL('../../../docs/renewal-at-scale.svg', import.meta.url));
const EVERY_MINUTES = 30;

const { values } = parseArgs({
  args: argv.slice(2),
  options: {
    connections: { type: 'string', default: '1000000' },
    /** The name of one scenario; without it all are run, those beside the long day with a tenth of the connections. */
    only: { type: 'string' },
    /** Where the picture goes. */
    picture: { type: 'string', default: PICTURE },
  },
});

const connections = Number(values.connections);
const beside = Math.ceil(connections / 10);
const all: Scenario[] = [
  longOutage(connections),
  shortOutage(values.only ? connections : beside),
  poisonedCompany(values.only ? connections : beside),
  tooManyRequests(values.only ? connections : beside),
];
const scenarios = all.filter(({ name }) => values.only === undefined || values.only === name);
if (!(connections > 0) || scenarios.length === 0) {
  stderr.write(`--connections is a number, --only one of ${all.map(({ name }) => name).join(', ')}\n`);
  process.exitCode = 1;
}

for (const scenario of scenarios) {
  const begun = performance.now();
  stdout.write(`\n${scenario.connections.toLocaleString('en')} connections: ${scenario.title}\n`);
  const results = run(scenario, (minute) => {
    if ((minute.at / 60) % EVERY_MINUTES !== 0) return;
    const { at, calls, backlog, expired } = minute;
    const numbers = `${(calls / 60).toFixed(0)} calls/s, backlog ${backlog}, without a token ${expired}`;
    stderr.write(`  ${(at / 3_600).toFixed(1).padStart(4)} h  ${numbers}\n`);
  });
  stdout.write(tableOf(results));
  const tookS = ((performance.now() - begun) / 1_000).toFixed(0);
  stdout.write(`  took ${tookS} s, ${(memoryUsage().rss / 1e6).toFixed(0)} MB\n`);
  if (results.scenario.name === 'long-outage') await writeFile(values.picture, drawPicture(results));
}
