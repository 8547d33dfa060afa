import type { Results } from './results.js';

/** The results as lines of text. */
export function tableOf(results: Results): string {
  const { scenario, calls, peak, mean, minutes, lost, lostInVain, lostInHindsight } = results;
  const most = (of: 'backlog' | 'expired'): number => Math.max(...minutes.map((minute) => minute[of]));
  const recovered = results.recoveredAfterS.map((s) => (s === null ? 'never' : `${Math.round(s / 60)} min`));
  const rows: [string, string][] = [
    ['cap', `${scenario.ratePerSecond} calls/s, ${scenario.concurrency} in flight`],
    ['calls', number(calls)],
    ['peak in any second', `${number(peak)} calls`],
    ['mean while the provider was there', `${mean.toFixed(1)} calls/s`],
    ['most in the backlog', number(most('backlog'))],
    ['most without a token', number(most('expired'))],
    [
      'it was seen to be back after',
      results.noticedAfterS.map((s) => (s === null ? 'never' : `${s.toFixed(0)} s`)).join(', ') ||
        'no outage',
    ],
    ['all have a token again after', recovered.join(', ') || 'no outage'],
    ['tokens that expired before another came', number(lost)],
    ['  that could have been saved', number(lostInVain)],
    ['  that could have been saved in hindsight', number(lostInHindsight)],
  ];
  return rows.map(([name, value]) => `  ${name.padEnd(42)} ${value}\n`).join('');
}

function number(value: number): string {
  return value.toLocaleString('en');
}
