/** What is measured, by a short name. */
export const CELL_NAMES = [
  'http',
  'untimed',
  'fastify',
  'nest',
  'least',
  'one',
  'uniform',
  'zipf',
  'beside',
  'warmLarge',
  'sealed',
  'cold',
  'coldSmall',
  'coldLarge',
] as const;

export type CellName = (typeof CELL_NAMES)[number];

/** How many connections there are. */
export interface Sizes {
  readonly small: number;
  readonly large: number;
}

/** The same for people. */
export function labelOf(name: CellName, { small, large }: Sizes): string {
  const [few, many] = [small, large].map((count) => count.toLocaleString('en'));
  const labels: Record<CellName, string> = {
    http: 'bare node:http, the same bytes',
    untimed: 'the same, no times taken',
    fastify: 'bare Fastify, the same object',
    nest: 'Nest on Fastify, the same object',
    least: 'node:http, one hash, one decryption',
    one: 'broker, warm: one connection',
    uniform: `broker, warm: ${few} connections, uniform`,
    zipf: `broker, warm: ${few} connections, zipf`,
    beside: `broker, warm: the same beside renewals`,
    warmLarge: `broker, warm: ${few} of ${many}, uniform`,
    sealed: 'Fastify, one SELECT, one decryption',
    cold: `broker, cold: each of ${many} connections`,
    coldSmall: `broker, cold: each of ${few} connections`,
    coldLarge: `broker, cold: ${few} of ${many} connections`,
  };
  return labels[name];
}
