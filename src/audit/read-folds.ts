import type { AuditEvent } from './audit-event.js';
import type { BufferedEvent } from './buffered-event.js';

/** Of one caller from one address, of one token or of what there was none of: a few versions and reasons. */
type Few = BufferedEvent[];

/**
 * Events into which others are folded. Found by texts that requests have in hand, one within the other: to put them
 * together to one key would cost more than all else that is done for a read.
 */
export class ReadFolds {
  // Few callers and addresses outside, many tokens inside: as few maps as can be.
  readonly #byActor = new Map<string, Map<string | null, Map<string, Few>>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(event: AuditEvent): BufferedEvent | undefined {
    const { id, sourceIp } = event.actor;
    const few = this.#byActor.get(id)?.get(sourceIp)?.get(tokenOf(event));
    if (few) for (const buffered of few) if (isSame(buffered.event, event)) return buffered;
    return undefined;
  }

  add(buffered: BufferedEvent): void {
    const { event } = buffered;
    const byAddress = inside(this.#byActor, event.actor.id, () => new Map<string | null, Map<string, Few>>());
    const byToken = inside(byAddress, event.actor.sourceIp, () => new Map<string, Few>());
    const few = byToken.get(tokenOf(event));
    if (few) few.push(buffered);
    else byToken.set(tokenOf(event), [buffered]);
    this.#size += 1;
  }

  /** Takes all of them out. */
  *drain(): Iterable<BufferedEvent> {
    for (const byAddress of this.#byActor.values())
      for (const byToken of byAddress.values()) for (const few of byToken.values()) yield* few;
    this.#byActor.clear();
    this.#size = 0;
  }
}

/** One company may have many sessions, and so many tokens. */
function tokenOf({ tokenFingerprint, connectionId, resource }: AuditEvent): string {
  return tokenFingerprint ?? connectionId ?? resource;
}

/** What two reads have in common that are one event, but for the address. */
function isSame(one: AuditEvent, other: AuditEvent): boolean {
  return (
    one.tokenVersion === other.tokenVersion &&
    one.tokenFingerprint === other.tokenFingerprint &&
    one.connectionId === other.connectionId &&
    one.action === other.action &&
    one.outcome === other.outcome &&
    one.reason === other.reason &&
    one.actor.keyId === other.actor.keyId &&
    one.resource === other.resource
  );
}

function inside<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
