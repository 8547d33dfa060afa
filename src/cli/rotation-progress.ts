import { setTimeout as sleep } from 'node:timers/promises';
import cliProgress from 'cli-progress';
import type { DataKeys } from '../vault/data-keys.js';

const LOOK_MS = 500;
/** Where there is no terminal, a line so often. */
const LINE_EVERY_MS = 10_000;
/** Nothing moved for as long: probably nobody is there who would. */
const STILL_MS = 30_000;

/** Shows how far a rotation has come until it is done. To end it ends nothing but the showing. */
export async function watchRotation(keys: Pick<DataKeys, 'status'>): Promise<string> {
  const bar = new cliProgress.SingleBar({
    stream: process.stderr,
    format: 'sealed anew [{bar}] {percentage} % | {value} of {total} rows | {eta_formatted} left',
    noTTYOutput: true,
    notTTYSchedule: LINE_EVERY_MS,
    hideCursor: true,
    // Before anything moved the rest of the time is no number.
    formatTime: (left, options, step) =>
      Number.isFinite(Number(left)) ? cliProgress.Format.TimeFormat(left, options, step) : '?',
  });
  bar.start(1, 0);
  let movedAt = performance.now();
  let before = Infinity;
  try {
    for (;;) {
      const { rows, whyNotCounted } = await keys.status();
      if (rows) {
        bar.setTotal(rows.all);
        bar.update(rows.all - rows.left);
        // A count from before something failed does not say that all is done.
        if (rows.left === 0 && whyNotCounted === null)
          return `all ${rows.all} rows are sealed by the newest key\n`;
        if (rows.left < before) movedAt = performance.now();
        before = rows.left;
      }
      if (performance.now() - movedAt > STILL_MS) {
        process.stderr.write(
          `\ntoken-broker: nothing moves: ${whyNotCounted ?? 'the replicas do this; GET /v1/keys at each says what is in its way, and no replica may be running'}\n`,
        );
        movedAt = performance.now();
      }
      await sleep(LOOK_MS);
    }
  } finally {
    bar.stop();
  }
}
