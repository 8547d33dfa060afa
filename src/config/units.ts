const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `10s`, `500ms`, `15m`, `1h` or `90d` in milliseconds; undefined where the text is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  return match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : undefined;
}

/** `50/s` as calls a second; undefined where the text is none. */
export function parseRate(text: string): number | undefined {
  const match = /^([1-9]\d{0,5})\/s$/.exec(text);
  return match ? Number(match[1]) : undefined;
}
