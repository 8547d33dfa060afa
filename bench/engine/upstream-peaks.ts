interface Ledger {
  readonly entries: readonly { readonly at: string }[];
  readonly counters: { readonly calls: number; readonly peak_concurrency: number };
  readonly dropped: number;
}

/** How hard a provider was asked at the worst. */
export interface Peaks {
  readonly calls: number;
  /** Most calls that arrived within any second, wherever it begins. */
  readonly perSecond: number;
  readonly concurrency: number;
}

/** The simulator forgets what it was asked, and every fault. */
export async function forgetUpstream(simulatorUrl: string): Promise<void> {
  await control(simulatorUrl, 'POST', 'reset');
}

/** Every answer takes this long, so that calls overlap as they do on a network. */
export async function delayUpstream(simulatorUrl: string, delayMs: number): Promise<void> {
  await control(simulatorUrl, 'POST', 'faults', { provider: 'konnect', delay_ms: delayMs });
}

/** What the simulator saw since it last forgot. */
export async function readPeaks(simulatorUrl: string): Promise<Peaks> {
  const { entries, counters, dropped } = (await control(
    simulatorUrl,
    'GET',
    'ledger?provider=konnect',
  )) as Ledger;
  if (dropped > 0) throw new Error('the ledger was too short for this many calls');
  const times = entries.map(({ at }) => Date.parse(at));
  return {
    calls: counters.calls,
    perSecond: mostWithin(times, 1_000),
    concurrency: counters.peak_concurrency,
  };
}

/** Most of these ascending times that lie within any `span`, its end excluded. */
export function mostWithin(times: readonly number[], span: number): number {
  let first = 0;
  let most = 0;
  times.forEach((time, index) => {
    while ((times[first] ?? time) <= time - span) first += 1;
    most = Math.max(most, index - first + 1);
  });
  return most;
}

async function control(simulatorUrl: string, method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${simulatorUrl}/_simulator/${path}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`the simulator refused ${method} ${path}: ${await answer.text()}`);
  return answer.json();
}
