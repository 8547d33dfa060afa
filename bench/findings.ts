/** One number that a benchmark came to. */
export interface Finding {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Where it is to be reached. */
  readonly goal?: { readonly atMost: number } | { readonly atLeast: number };
  /** Left out of the table for people: another shows it. */
  readonly isDetail?: boolean;
}

/** Undefined where there is no goal. */
export function isReached({ value, goal }: Finding): boolean | undefined {
  if (!goal) return undefined;
  return 'atMost' in goal ? value <= goal.atMost : value >= goal.atLeast;
}

/** A table for people, a line a finding. */
export function renderTable(findings: readonly Finding[]): string {
  const shown = findings.filter(({ isDetail = false }) => !isDetail);
  const rows = shown.map((finding) => [
    finding.name,
    readable(finding.value),
    finding.unit,
    goalOf(finding),
    { true: 'reached', false: 'MISSED', undefined: '' }[String(isReached(finding))] ?? '',
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 1 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function goalOf({ goal }: Finding): string {
  if (!goal) return '';
  return 'atMost' in goal ? `at most ${goal.atMost}` : `at least ${goal.atLeast}`;
}

/** Three digits that count; whole from a hundred on. */
export function readable(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** The value that this part of them does not exceed (nearest rank). */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? NaN;
}
