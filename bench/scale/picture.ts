import type { Minute } from './gauge.js';
import type { Results } from './results.js';

/** Sizes in pixels. */
const WIDTH = 880;
const LEFT = 76;
const RIGHT = 20;
const PANEL = 150;
const GAP = 46;
const TOP = 66;
/** A point every so many minutes: more cannot be told apart. */
const STEP_MINUTES = 3;

/** One curve over the day, with an axis of its own. */
interface Panel {
  readonly title: string;
  readonly kind: string;
  readonly of: (minutes: readonly Minute[]) => number;
  /** A line to compare with. */
  readonly limit?: { readonly at: number; readonly label: string };
}

/** The outage and what came of it, over time: what is asked of the provider, what waits, and who is without a token. */
export function drawPicture(results: Results): string {
  const { scenario, minutes } = results;
  const hours = scenario.lastsS / 3_600;
  const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);
  const panels: Panel[] = [
    {
      title: 'Calls to the provider, a second (mean of three minutes)',
      kind: 'calls',
      of: (some) => some.reduce((sum, { calls }) => sum + calls, 0) / (some.length * 60),
      limit: { at: scenario.ratePerSecond, label: `cap: ${scenario.ratePerSecond} calls/s` },
    },
    {
      title: 'Connections that are due and wait',
      kind: 'backlog',
      of: (some) => most(some.map(({ backlog }) => backlog)),
    },
    {
      title: 'Connections without a token that lives',
      kind: 'expired',
      of: (some) => most(some.map(({ expired }) => expired)),
    },
  ];
  const height = TOP + panels.length * (PANEL + GAP) + 14;
  const summary =
    `${scenario.connections.toLocaleString('en')} connections, tokens of ${scenario.lifetimeS / 3_600} h, ` +
    scenario.title;
  const x = (hour: number): number => LEFT + (hour / hours) * (WIDTH - LEFT - RIGHT);
  const outages = scenario.outages.map(({ from, to }) => ({ from: x(from / 3_600), to: x(to / 3_600) }));
  const drawn = panels.map((panel, index) =>
    drawPanel(panel, { minutes, hours, x, top: TOP + index * (PANEL + GAP), outages }),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${summary}">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .small { font-size: 12px } .end { text-anchor: end } .middle { text-anchor: middle }
.grid { stroke: #1f2328; stroke-opacity: .15 } .limit { stroke: #1f2328; stroke-dasharray: 5 4; stroke-opacity: .7 }
.outage { fill: #cf222e; fill-opacity: .1 }
path { fill: none; stroke-width: 1.8; stroke-linejoin: round }
.calls { stroke: #0969da } .backlog { stroke: #9a6700 } .expired { stroke: #cf222e }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .grid, .limit { stroke: #e6edf3 } .outage { fill: #ff7b72; fill-opacity: .16 }
  .calls { stroke: #58a6ff } .backlog { stroke: #e3b341 } .expired { stroke: #ff7b72 }
}
</style>
<text class="title" x="${LEFT}" y="22">${summary}</text>
<text class="small" x="${LEFT}" y="42">Shaded: the provider is away. Hours since the beginning at the bottom of each panel.</text>
${drawn.join('\n')}
</svg>
`;
}

interface Frame {
  readonly minutes: readonly Minute[];
  readonly hours: number;
  readonly x: (hour: number) => number;
  readonly top: number;
  readonly outages: readonly { readonly from: number; readonly to: number }[];
}

function drawPanel({ title, kind, of, limit }: Panel, { minutes, hours, x, top, outages }: Frame): string {
  const points: { hour: number; value: number }[] = [];
  for (let at = 0; at < minutes.length; at += STEP_MINUTES) {
    const some = minutes.slice(at, at + STEP_MINUTES);
    points.push({ hour: (some.at(-1)?.at ?? 0) / 3_600, value: of(some) });
  }
  const ceiling = niceCeiling(Math.max(limit?.at ?? 0, ...points.map(({ value }) => value)));
  const bottom = top + PANEL;
  const y = (value: number): number => bottom - (value / ceiling) * (PANEL - 22);
  const line = points.map(({ hour, value }) => `${x(hour).toFixed(1)} ${y(value).toFixed(1)}`).join('L');
  const shapes = [
    ...outages.map(
      ({ from, to }) =>
        `<rect class="outage" x="${from.toFixed(1)}" y="${y(ceiling)}" width="${(to - from).toFixed(1)}" height="${bottom - y(ceiling)}"/>`,
    ),
    `<text x="${LEFT}" y="${top + 10}">${title}</text>`,
    ...[0, 0.5, 1].flatMap((part) => [
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(part * ceiling)}" y2="${y(part * ceiling)}"/>`,
      `<text class="small end" x="${LEFT - 8}" y="${y(part * ceiling) + 4}">${short(part * ceiling)}</text>`,
    ]),
    ...ticks(hours).map(
      (hour) => `<text class="small middle" x="${x(hour).toFixed(1)}" y="${bottom + 18}">${hour} h</text>`,
    ),
  ];
  if (limit) {
    shapes.push(
      `<line class="limit" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(limit.at)}" y2="${y(limit.at)}"/>`,
      `<text class="small end" x="${WIDTH - RIGHT}" y="${y(limit.at) - 5}">${limit.label}</text>`,
    );
  }
  shapes.push(`<path class="${kind}" d="M${line}"/>`);
  return shapes.join('\n');
}

function ticks(hours: number): number[] {
  const step = hours > 12 ? 3 : 1;
  return Array.from({ length: Math.floor(hours / step) + 1 }, (_, index) => index * step);
}

/** The next of 1, 2, 3, 4, 6, 8 and 10 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return ([1, 2, 3, 4, 6, 8].find((step) => step * power >= value) ?? 10) * power;
}

function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6} million`;
  return value >= 10_000 ? `${value / 1e3},000` : String(value);
}
