import { parseArgs } from 'node:util';

/** How large a run is. The defaults are those of the goals. */
export interface Options {
  readonly parts: readonly string[];
  /** Rows of the smaller and the larger table of the claims, and of the reads. */
  readonly rows: readonly [number, number];
  /** Claims of each situation in each table. */
  readonly batches: number;
  /** Connections that are due at once. */
  readonly due: number;
  /** Pairs of a bare loop and a drain; rounds of the reads. Undefined: as many as the part thinks right. */
  readonly rounds: number | undefined;
  readonly concurrency: number;
  /** Seconds that the drain under a cap takes at that cap. */
  readonly capSeconds: number;
  /** Numbers of clients that read; ratios are those of the second, or the only one. */
  readonly clients: readonly number[];
  /** Seconds of each load of the reads. */
  readonly seconds: number;
  /** A folder for CPU profiles of the brokers that drain, and of the one that warm reads are asked of. */
  readonly profile: string | undefined;
  /** Where the picture of the reads is drawn, if anywhere. */
  readonly picture: string | undefined;
  /** Where the findings are written. */
  readonly out: string;
}

const DEFAULTS = {
  rows: '10k,1m',
  batches: '500',
  due: '100k',
  concurrency: '64',
  'cap-seconds': '20',
  clients: '1,32,256',
  seconds: '0.5',
  out: 'bench/results/latest.json',
} as const;

export const USAGE = `npm run bench -- [part ...] [flags]; without a part, all of them
  --rows 10k,1m       rows of the two tables that claims are compared in, and reads; --rows 10m: the larger one
  --batches 500       claims of each situation in each table
  --due 100k          connections that are due at once
  --rounds n          2 of a bare loop and a drain each; 5 of the reads, of eight turns each
  --concurrency 64    calls in flight of both
  --cap-seconds 20    how long the drain under a cap of 500 calls a second takes at least
  --clients 1,32,256  that read at the same time; the second is what ratios are about
  --seconds 0.5       of each load of the reads
  --picture file      a picture of the reads (SVG)
  --profile folder    CPU profiles of the draining brokers, and of the one that is read from
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
      clients: text,
      seconds: text,
      picture: text,
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
    rounds: values.rounds === undefined ? undefined : count(values.rounds),
    concurrency: count(given.concurrency),
    capSeconds: count(given['cap-seconds']),
    clients: given.clients.split(',').map(count),
    seconds: seconds(given.seconds),
    profile: values.profile,
    picture: values.picture,
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

/** `2` or `0.1`. */
function seconds(text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`${text} is no number of seconds`);
  return number;
}
