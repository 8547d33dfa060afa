import { execFile, type ExecFileException } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { ALERTS_FILE } from './monitoring.js';

const SERIES = /^(token_broker_\w+)(?:\{(.*)\})? (\S+)$/gm;
/** As Prometheus and its operator mark what comes from a replica. */
const OF_REPLICA = 'namespace="fynd",job="token-broker",instance="replica-1"';

/** An alert that fires, by its labels. */
export type Firing = Readonly<Record<string, string>>;

/** What a broker told, once a minute of its own time, and what Prometheus makes of that by the rules that are shipped. */
export class Watch {
  readonly #series = new Map<string, (number | undefined)[]>();
  #minutes = 0;

  /** One scrape; undefined where nobody answered. */
  note(text: string | undefined): void {
    for (const values of this.#series.values()) values.push(undefined);
    for (const [, name = '', labels = '', value = ''] of (text ?? '').matchAll(SERIES)) {
      const series = `${name}{${labels === '' ? '' : `${labels},`}${OF_REPLICA}}`;
      let values = this.#series.get(series);
      if (!values) {
        values = Array.from({ length: this.#minutes + 1 }, () => undefined);
        this.#series.set(series, values);
      }
      values[this.#minutes] = Number(value);
    }
    this.#minutes += 1;
  }

  /** Has Prometheus' own program evaluate the rules minute by minute. Throws with what it says where other alerts fire at the end. */
  async expect(alert: string, firing: readonly Firing[]): Promise<void> {
    const told = firing.map((labels) => {
      const all = Object.entries({ alertname: alert, alertstate: 'firing', ...labels });
      return { labels: `ALERTS{${all.map(([name, value]) => `${name}="${value}"`).join(',')}}`, value: 1 };
    });
    await runPromtool(
      this.#storyWith([
        {
          expr: `ALERTS{alertstate="firing",alertname=~"${alert}"}`,
          eval_time: `${this.#minutes - 1}m`,
          exp_samples: told,
        },
      ]),
    );
  }

  #storyWith(tests: readonly unknown[]): unknown {
    const input = [...this.#series].map(([series, values]) => ({
      series,
      values: values.map((value) => (Number.isFinite(value) ? value?.toFixed(6) : '_')).join(' '),
    }));
    return {
      rule_files: [resolve(ALERTS_FILE)],
      evaluation_interval: '1m',
      tests: [{ interval: '1m', input_series: input, promql_expr_test: tests }],
    };
  }
}

async function runPromtool(story: unknown): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'promtool-'));
  const file = join(folder, 'story.yaml');
  try {
    writeFileSync(file, stringify(story));
    await promtool('test', 'rules', file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Prometheus' own program, which has to be installed: Debian's package `prometheus` has it. Throws with what it printed. */
export async function promtool(...parameters: string[]): Promise<string> {
  try {
    return (await promisify(execFile)('promtool', parameters, { maxBuffer: 20_000_000 })).stdout;
  } catch (error) {
    const {
      code,
      stdout = '',
      stderr = '',
    } = error as ExecFileException & { stdout?: string; stderr?: string };
    if (code === ('ENOENT' as unknown))
      throw new Error('install promtool: apt-get install prometheus', { cause: error });
    throw new Error(`${stdout}${stderr}`, { cause: error });
  }
}
