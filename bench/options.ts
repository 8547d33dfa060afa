import { parseArgs } from 'node:util';

/** How large a run is. The defaults are those of the goals. */
export interface Options {
  readonly parts: readonly string[];
  /** Rows of the smaller and the larger table of the claims. */
  readonly rows: readonly [number, number];
  /** Claims of each situation in each table. */
  readonly batches: number;
  /** Connections that are due at once. */
  readonly due: number;
  /** Pairs of a bare loop and a drain. */
  readonly rounds: number;
  readonly concurrency: number;
  /** Seconds that the drain under a cap takes at that cap. */
  readonly capSeconds: number;
  /** A folder for CPU profiles of the draining brokers. */
  readonly profile: string | undefined;
  /** Where the findings are written. */
  readonly out: string;
}

const DEFAULTS = {
  rows: '10k,1m',
  batches: '500',
  due: '100k',
  rounds: '2',
  concurrency: '64',
  'cap-seconds': '20',
  out: 'bench/results/latest.json',
} as const;

export const USAGE = `npm run bench -- [part ...] [flags]; without a part, all of them
  --rows 10k,1m       rows of the two tables that claims are compared in; --rows 10m: the larger one
  --batches 500       claims of each situation in each table
  --due 100k          connections that are due at once
  --rounds 2          a bare loop and a drain each
  --concurrency 64    calls in flight of both
  --cap-seconds 20    how long the drain under a cap of 500 calls a second takes at least
  --profile folder    CPU profiles of the draining brokers
  --out file          findings as JSON (${DEFAULTS.out})
`;

/** Reads the command line. Throws an Error with one line where it makes no sense. */
export function readOptions(argv: readonly string[], known: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      rows: text,
      batches: text,
      due: text,
      rounds: text,
      concurrency: text,
      'cap-seconds': text,
      profile: text,
      out: text,
    },
  });
  const given = { ...DEFAULTS, ...values };
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no part is called ${unknown.join(', ')}: ${known.join(', ')}`);
  const rows = given.rows.split(',').map(count);
  const larger = rows.at(-1) ?? 0;
  return {
    parts: positionals.length > 0 ? positionals : known,
    rows: [rows.length > 1 ? (rows[0] ?? 0) : count('10k'), larger],
    batches: count(given.batches),
    due: count(given.due),
    rounds: count(given.rounds),
    concurrency: count(given.concurrency),
    capSeconds: count(given['cap-seconds']),
    profile: values.profile,
    out: given.out,
  };
}

/** `500`, `10k` or `1m`. */
function count(text: string): number {
  const [, digits, unit] = /^(\d{1,9})([km]?)$/.exec(text) ?? [];
  const number = Number(digits) * { '': 1, k: 1_000, m: 1_000_000 }[unit as '' | 'k' | 'm'];
  if (!(number > 0)) throw new Error(`${text} is no count like 500, 10k or 1m`);
  return number;
}
