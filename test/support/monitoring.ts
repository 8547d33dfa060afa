import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { Json } from './http.js';

export const ALERTS_FILE = 'helm/token-broker/files/alerts.yaml';
export const DASHBOARD_FILE = 'helm/token-broker/files/dashboard.json';

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

export interface Panel extends Json {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

export function readAlerts(): Alert[] {
  const { groups } = parse(readFileSync(ALERTS_FILE, 'utf8')) as { groups: { rules: Alert[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

export function readPanels(): Panel[] {
  return (JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8')) as { panels: Panel[] }).panels;
}

/** An expression of the dashboard as Grafana asks it, with all namespaces, jobs and providers chosen. */
export function asAsked(expression: string): string {
  return expression.replaceAll('$__rate_interval', '5m').replaceAll(/"\$\w+"/g, '".*"');
}
