import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { REQUIRED, refusalOf, render, VALUE_SETS } from '../support/helm.js';
import type { Json } from '../support/http.js';
import { named, ofKind } from '../support/manifests.js';
import { asAsked, DASHBOARD_FILE, readAlerts, readPanels, type Alert } from '../support/monitoring.js';
import { readPromql } from '../support/promql.js';

const OPERATIONS = 'docs/operations.md';
const anchorOf = (alert: string): string => `docs/operations.md#${alert.toLowerCase()}`;

describe('the alerts', () => {
  const alerts = readAlerts();

  it('each have a name of their own, a severity, and words', () => {
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
    for (const { alert, labels, annotations } of alerts) {
      expect([alert, labels.severity]).toEqual([alert, expect.stringMatching(/^(critical|warning)$/)]);
      expect(annotations.summary.length).toBeGreaterThan(20);
    }
  });

  it('each have an entry of that name in the document of operations, to which they lead, and no other is there', () => {
    const [, entries = ''] = readFileSync(OPERATIONS, 'utf8').split('\n## Alerts\n');
    const told = [...(entries.split('\n## ')[0] ?? '').matchAll(/^### (\w+)$/gm)].map(
      ([, name = '']) => name,
    );
    expect(told).toEqual(alerts.map(({ alert }) => alert));
    for (const { alert, annotations } of alerts) expect(annotations.runbook_url).toBe(anchorOf(alert));
  });

  it('come as a PrometheusRule, where that is wanted, with links to where the documents are', async () => {
    expect(ofKind(await render(), 'PrometheusRule')).toEqual([]);
    const all = await render(`${VALUE_SETS}/autoscaled.yaml`);
    const { spec, metadata } = named(all, 'PrometheusRule', 'broker-token-broker') as unknown as {
      spec: { groups: { rules: Alert[] }[] };
      metadata: { labels: Json };
    };
    const base = 'https://git.example/token-broker/';
    expect(spec.groups.flatMap(({ rules }) => rules)).toEqual(
      alerts.map((alert) => ({
        ...alert,
        annotations: { ...alert.annotations, runbook_url: `${base}${alert.annotations.runbook_url}` },
      })),
    );
    expect(metadata.labels).toMatchObject({ release: 'prometheus' });
    const refusal = await refusalOf(['monitoring.prometheusRule.runbooks=https://git.example/docs']);
    expect(refusal).toContain('runbooks');
  });
});

describe('the dashboard', () => {
  const panels = readPanels();

  it('has panels that ask for something, each in a place of its own', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { title, type, targets, gridPos } of panels) {
      expect(title).not.toBe('');
      expect([title, (targets ?? []).length > 0]).toEqual([title, type !== 'row']);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect([title, taken.has(`${x} ${y}`), x < 24]).toEqual([title, false, true]);
          taken.add(`${x} ${y}`);
        }
    }
  });

  it('names in its legends only what its expressions tell apart', () => {
    for (const { targets = [] } of panels)
      for (const { expr, legendFormat } of targets) {
        const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
        const told = [...readPromql(asAsked(expr)).labels, 'instance'];
        expect([expr, named.filter((label) => !told.includes(label))]).toEqual([expr, []]);
      }
  });

  it('comes as a ConfigMap that Grafana finds, where that is wanted', async () => {
    const isDashboard = ({ metadata }: { metadata: { name: string } }): boolean =>
      /dashboard/.test(metadata.name);
    expect((await render(REQUIRED)).filter(isDashboard)).toEqual([]);
    const all = await render(`${VALUE_SETS}/autoscaled.yaml`);
    const { data, metadata } = named(all, 'ConfigMap', 'broker-token-broker-dashboard') as unknown as {
      data: Record<string, string>;
      metadata: Json;
    };
    expect(JSON.parse(data['token-broker.json'] ?? '')).toEqual(
      JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8')),
    );
    expect(metadata).toMatchObject({
      namespace: 'grafana',
      labels: { grafana_dashboard: '1' },
      annotations: { grafana_folder: 'Integrations' },
    });
  });
});
