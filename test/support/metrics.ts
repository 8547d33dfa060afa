import { ask } from './http.js';

/** What a broker tells at /metrics, as it was scraped. */
export class Scrape {
  private constructor(readonly text: string) {}

  static async of({ api }: { api: string }): Promise<Scrape> {
    const { status, text } = await ask('GET', `${api}/metrics`);
    if (status !== 200) throw new Error(`/metrics answered ${status}`);
    return new Scrape(text);
  }

  /** The value of `series`, written as it is told: `name{label="value"}`, without the name's prefix; undefined where it is absent. */
  value(series: string): number | undefined {
    const line = this.text.split('\n').find((each) => each.startsWith(`token_broker_${series} `));
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1));
  }

  /** All series of a metric, by their labels. */
  all(metric: string): Record<string, number> {
    const found = [...this.text.matchAll(new RegExp(`^token_broker_${metric}(\\{.*\\})? (\\S+)$`, 'gm'))];
    return Object.fromEntries(found.map(([, labels = '', value]) => [labels, Number(value)]));
  }

  /** The names of all metrics of the broker's own. */
  names(): string[] {
    return [...this.text.matchAll(/^# HELP token_broker_(\w+)/gm)].map(([, name = '']) => name);
  }
}

/** The values of these series; what is absent counts as 0. */
export async function counted(
  brokers: readonly { api: string }[],
  series: readonly string[],
): Promise<number[]> {
  const scrapes = await Promise.all(brokers.map((broker) => Scrape.of(broker)));
  return series.map((each) => scrapes.reduce((sum, scrape) => sum + (scrape.value(each) ?? 0), 0));
}
