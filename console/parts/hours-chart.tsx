import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import type { OverviewAnswer } from '../answers.js';
import { hourOf, number } from '../words.js';

const HEIGHT = 190;
const HALF_HOUR_S = 1_800;

/** What was renewed in the last 24 hours and what ends in the next 24. */
export function HoursChart({ overview }: { overview: OverviewAnswer }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>();
  const isDark = useDark();
  const { past, next, next_is_estimated } = overview;

  useEffect(() => {
    const { current } = place;
    if (!current) return;
    const made = new uPlot(optionsOf(current), seriesOf(overview), current);
    chart.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: current.clientWidth, height: HEIGHT }));
    observer.observe(current);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [isDark]);
  useEffect(() => chart.current?.setData(seriesOf(overview)), [overview]);

  const renewed = past.reduce((sum, it) => sum + it.renewed, 0);
  const failed = past.reduce((sum, it) => sum + it.failed, 0);
  const expiring = next.reduce((sum, it) => sum + it.expiring, 0);
  const about = next_is_estimated ? 'about ' : '';
  const summary = `${number(renewed)} renewals and ${number(failed)} failed tries in the last 24 hours; ${about}${number(expiring)} tokens end in the next 24.`;
  return (
    <section class="card" aria-labelledby="hours">
      <h2 id="hours">Renewals and expiries, hour by hour</h2>
      <p class="legend">
        <span class="key renewed">Renewed</span>
        <span class="key failed">Failed</span>
        <span class="key expiring">Expiring</span>
        <span class="faint">{summary}</span>
      </p>
      <div ref={place} class="chart" role="img" aria-label={summary} />
      <details>
        <summary>As a table</summary>
        <div class="scroll" tabIndex={0} role="group" aria-label="Hours">
          <table>
            <thead>
              <tr>
                <th scope="col">Hour from</th>
                <th scope="col" class="count">
                  Renewed
                </th>
                <th scope="col" class="count">
                  Failed
                </th>
                <th scope="col" class="count">
                  Expiring
                </th>
              </tr>
            </thead>
            <tbody>
              {rowsOf(overview)
                .filter((row) => row.renewed + row.failed + row.expiring > 0)
                .map((row) => (
                  <tr key={row.from}>
                    <th scope="row">{hourOf(row.from)}</th>
                    <td class="count">{number(row.renewed)}</td>
                    <td class="count">{number(row.failed)}</td>
                    <td class="count">{number(row.expiring)}</td>
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      </details>
    </section>
  );
}

interface Row {
  readonly from: string;
  readonly renewed: number;
  readonly failed: number;
  readonly expiring: number;
}

/** The hour that runs stands in both halves, and once here. */
function rowsOf({ past, next }: OverviewAnswer): Row[] {
  const ahead = new Map(next.map(({ from, expiring }) => [from, expiring]));
  const before = past.map((it) => ({ ...it, expiring: ahead.get(it.from) ?? 0 }));
  const known = new Set(past.map(({ from }) => from));
  const after = next.filter(({ from }) => !known.has(from)).map((it) => ({ ...it, renewed: 0, failed: 0 }));
  return [...before, ...after];
}

function seriesOf(overview: OverviewAnswer): uPlot.AlignedData {
  const rows = rowsOf(overview);
  return [
    rows.map(({ from }) => Date.parse(from) / 1_000 + HALF_HOUR_S),
    // What failed stands upon what worked.
    rows.map(({ renewed, failed }) => renewed + failed),
    rows.map(({ renewed }) => renewed),
    rows.map(({ expiring }) => expiring),
  ];
}

function optionsOf(place: HTMLElement): uPlot.Options {
  const color = (name: string): string => getComputedStyle(place).getPropertyValue(name).trim();
  const bars = (size: number, align: -1 | 0 | 1): uPlot.Series.PathBuilder | undefined =>
    uPlot.paths.bars?.({ size: [size, 24], align });
  const series = (name: string, align: -1 | 1): uPlot.Series => {
    const paths = bars(0.42, align);
    return { fill: color(name), width: 0, points: { show: false }, ...(paths && { paths }) };
  };
  const axis = {
    stroke: color('--faint'),
    font: '12px system-ui, sans-serif',
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] } },
    series: [{}, series('--bad-mark', -1), series('--good-mark', -1), series('--due-mark', 1)],
    axes: [
      {
        ...axis,
        size: 30,
        grid: { show: false },
        values: (_, at) => at.map((it) => hourOf(new Date(it * 1_000).toISOString())),
      },
      {
        ...axis,
        size: 48,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5],
      },
    ],
    hooks: { draw: [(chart) => drawNow(chart, color('--faint'))] },
  };
}

/** A line between what was and what will be. */
function drawNow(chart: uPlot, color: string): void {
  const { ctx, bbox } = chart;
  const x = chart.valToPos(Date.now() / 1_000, 'x', true);
  ctx.save();
  ctx.strokeStyle = color;
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

function useDark(): boolean {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const [isDark, setDark] = useState(dark.matches);
  useEffect(() => {
    const look = (): void => setDark(dark.matches);
    dark.addEventListener('change', look);
    return () => dark.removeEventListener('change', look);
  }, []);
  return isDark;
}
