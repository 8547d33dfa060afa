// Reads what jest wrote of its runs: `failed` prints the files that are worth another try, `count` what came of all of them.
import { readFileSync } from 'node:fs';

/** Where more files failed, another try would only hide why. */
const MOST_AGAIN = 8;

const [what, ...files] = process.argv.slice(2);
const runs = files
  .map((file) => JSON.parse(readFileSync(file, 'utf8')))
  .sort((one, other) => one.startTime - other.startTime);

if (what === 'failed') {
  const failed = runs[0].testResults.filter(({ status }) => status === 'failed').map(({ name }) => name);
  if (failed.length <= MOST_AGAIN) console.log(failed.join('\n'));
} else {
  // Of a file that was run again, the last run counts.
  const files = new Map(runs.flatMap(({ testResults }) => testResults).map((file) => [file.name, file]));
  const count = (file, wanted) => file.assertionResults.filter(({ status }) => status === wanted).length;
  let passed = 0;
  let failed = 0;
  for (const file of files.values()) {
    passed += count(file, 'passed');
    // One that could not be loaded has no results of its own.
    if (file.status === 'failed') failed += Math.max(1, count(file, 'failed'));
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}
