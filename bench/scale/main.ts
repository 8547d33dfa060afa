import { writeFile } from 'node:fs/promises';
import process, { argv, memoryUsage, stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { drawPicture } from './picture.js';
import { run } from './results.js';
import { longOutage, poisonedCompany, shortOutage, tooManyRequests } from './scenario.js';
import { tableOf } from './table.js';

const PICTURE = fileURLToPath(new URL('../../../docs/renewal-at-scale.svg', import.meta.url));
const TELLS_EVERY_S = 1_800;

const { values } = parseArgs({
  args: argv.slice(2),
  options: {
    connections: { type: 'string', default: '1000000' },
    // Connections of the scenarios beside the long day: a tenth, unless one is run alone.
    beside: { type: 'string' },
    // The name of one scenario; without it all are run.
    only: { type: 'string' },
    // Where the picture of the long day goes.
    picture: { type: 'string', default: PICTURE },
    // A line of JSON for each scenario, and nothing else.
    json: { type: 'boolean', default: false },
  },
});

const connections = Number(values.connections);
const beside = Number(values.beside ?? Math.ceil(connections / (values.only === undefined ? 10 : 1)));
const all = [
  longOutage(connections),
  ...[shortOutage, poisonedCompany, tooManyRequests].map((of) => of(beside)),
];
const scenarios = all.filter(({ name }) => values.only === undefined || values.only === name);
if (!(connections > 0 && beside > 0) || scenarios.length === 0) {
  const names = all.map(({ name }) => name).join(', ');
  stderr.write(`--connections and --beside are numbers, --only is one of ${names}\n`);
  process.exit(1);
}

for (const scenario of scenarios) {
  const begun = performance.now();
  if (!values.json)
    stdout.write(`\n${scenario.connections.toLocaleString('en')} connections: ${scenario.title}\n`);
  const results = run(scenario, ({ at, calls, backlog, expired }) => {
    if (values.json || at % TELLS_EVERY_S !== 0) return;
    const numbers = `${(calls / 60).toFixed(0)} calls/s, backlog ${backlog}, without a token ${expired}`;
    stderr.write(`  ${(at / 3_600).toFixed(1).padStart(4)} h  ${numbers}\n`);
  });
  if (values.json) {
    stdout.write(`${JSON.stringify(results)}\n`);
    continue;
  }
  stdout.write(tableOf(results));
  const tookS = ((performance.now() - begun) / 1_000).toFixed(0);
  stdout.write(`  took ${tookS} s, ${(memoryUsage().rss / 1e6).toFixed(0)} MB\n`);
  if (scenario === all[0]) await writeFile(values.picture, drawPicture(results));
}
