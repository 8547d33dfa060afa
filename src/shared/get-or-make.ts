/** What stands there, or what `make` makes to stand there from now on. */
export function getOrMake<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

export const newMap = <Key, Value>(): Map<Key, Value> => new Map();
