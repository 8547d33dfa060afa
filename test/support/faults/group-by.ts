/** Those that belong together, in the order in which they came. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

/** How many there are of each. */
export function countOf<T>(groups: ReadonlyMap<string, readonly T[]>): Record<string, number> {
  return Object.fromEntries([...groups].map(([key, items]) => [key, items.length]));
}
