import { isReached, readable, goalOf, type Finding } from '../findings.js';
import type { Load } from '../load/order.js';
import { CELL_NAMES, labelOf, type CellName, type Sizes } from './cell-names.js';
import { median, type Results } from './verdict.js';

/** One row of the table: medians over the turns. */
export interface Row {
  readonly name: CellName;
  readonly clients: number;
  readonly perSecond: number;
  /** In proportion to bare `node:http`. */
  readonly ofBare: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Microseconds of processor time that an answer took the server. */
  readonly micros: number;
  readonly serverCores: number;
  readonly generatorCores: number;
  /** Parts of the time in which there was something to do. */
  readonly serverBusy: number;
  readonly generatorBusy: number;
}

/** Everything that was measured, by number of clients. */
export function rowsOf({ measured, clients }: Results): Row[] {
  return clients.flatMap((count) =>
    CELL_NAMES.flatMap((name) => {
      const loads = measured.of(name, count);
      if (loads.length === 0) return [];
      return {
        name,
        clients: count,
        perSecond: rateOf(loads),
        ofBare: rateOf(loads) / rateOf(measured.of('http', count)),
        p50: median(loads.map(({ latency }) => latency.p50)),
        p99: median(loads.map(({ latency }) => latency.p99)),
        p999: median(loads.map(({ latency }) => latency.p999)),
        micros: median(loads.map(({ cores, perSecond }) => (cores.server / perSecond) * 1e6)),
        serverCores: median(loads.map(({ cores }) => cores.server)),
        generatorCores: median(loads.map(({ cores }) => cores.generator)),
        serverBusy: median(loads.map(({ busy }) => busy.server)),
        generatorBusy: median(loads.map(({ busy }) => busy.generator)),
      };
    }),
  );
}

function rateOf(loads: readonly Load[]): number {
  return median(loads.map(({ perSecond }) => perSecond));
}

const HEAD = [
  'clients',
  'who answers',
  'a second',
  'of bare',
  'p50 ms',
  'p99 ms',
  'p99.9 ms',
  'µs of server',
  'server: cores (busy)',
  'generator',
];

/** Two tables in Markdown: the findings with their goals, and everything that was measured. */
export function renderMarkdown(findings: readonly Finding[], rows: readonly Row[], sizes: Sizes): string {
  const goals = findings.map((finding) => [
    finding.name.replace(/^reads: /, ''),
    `${readable(finding.value)} ${finding.unit}`,
    goalOf(finding),
    { true: 'reached', false: '**missed**', undefined: '' }[String(isReached(finding))] ?? '',
  ]);
  const measured = rows.map((row) => [
    String(row.clients),
    labelOf(row.name, sizes),
    Math.round(row.perSecond).toLocaleString('en'),
    row.ofBare.toFixed(2),
    ...[row.p50, row.p99, row.p999].map((ms) => (ms > 0 ? readable(ms) : '–')),
    readable(row.micros),
    `${row.serverCores.toFixed(2)} (${row.serverBusy.toFixed(2)})`,
    `${row.generatorCores.toFixed(2)} (${row.generatorBusy.toFixed(2)})`,
  ]);
  return `${tableOf([['what', 'measured', 'goal', ''], ...goals])}\n\n${tableOf([HEAD, ...measured])}\n`;
}

/** The first line is the head. */
function tableOf(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(3, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const [head = '', ...rest] = lines.map(
    (line) => `| ${widths.map((width, column) => (line[column] ?? '').padEnd(width)).join(' | ')} |`,
  );
  return [head, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rest].join('\n');
}
