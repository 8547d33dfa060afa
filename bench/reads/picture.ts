import { labelOf, type CellName, type Sizes } from './cell-names.js';
import { readable } from '../findings.js';
import type { Row } from './table.js';

/** Sizes in pixels. */
const WIDTH = 880;
const LEFT = 350;
const RIGHT = 150;
const TOP = 62;
const LINE = 30;
const BAR = 18;

/** Which of them a picture shows, and as what. */
const SHOWN: readonly (readonly [CellName, 'bare' | 'broker'])[] = [
  ['http', 'bare'],
  ['fastify', 'bare'],
  ['nest', 'bare'],
  ['least', 'bare'],
  ['one', 'broker'],
  ['uniform', 'broker'],
  ['zipf', 'broker'],
  ['beside', 'broker'],
  ['warmLarge', 'broker'],
  ['sealed', 'bare'],
  ['cold', 'broker'],
];

/** A bar for each: requests a second in proportion to bare `node:http`, with the number and the p99 behind it. */
export function drawReads(rows: readonly Row[], clients: number, sizes: Sizes): string {
  const shown = SHOWN.flatMap(([name, kind]) => {
    const row = rows.find((one) => one.name === name && one.clients === clients);
    return row ? { row, kind } : [];
  });
  const most = Math.max(...shown.map(({ row }) => row.perSecond));
  const bottom = TOP + shown.length * LINE;
  const summary = `Fetches a second of ${clients} clients, and the time that 99 of 100 take at most`;
  const bars = shown.map(({ row, kind }, index) => {
    const y = TOP + index * LINE;
    const width = (row.perSecond / most) * (WIDTH - LEFT - RIGHT);
    const told = `${Math.round(row.perSecond).toLocaleString('en')} · ${readable(row.p99)} ms`;
    return `<text class="end" x="${LEFT - 10}" y="${y + 14}">${labelOf(row.name, sizes)}</text>
<rect class="${kind}" x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR}"/>
<text class="small" x="${(LEFT + width + 8).toFixed(1)}" y="${y + 14}">${told}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 10}" role="img" aria-label="${summary}">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .small { font-size: 12px } .end { text-anchor: end }
.bare { fill: #9a6700; fill-opacity: .55 } .broker { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .bare { fill: #e3b341 } .broker { fill: #58a6ff }
}
</style>
<text class="title" x="16" y="22">${summary}</text>
<text class="small" x="16" y="42">Blue: the broker. Brown: servers that have less to do.</text>
${bars.join('\n')}
</svg>
`;
}
