import { getOrMake, newMap } from '../shared/get-or-make.js';
import type { AuditEvent } from './audit-event.js';
import type { BufferedEvent } from './buffered-event.js';

/** Of one caller from one address, by the token or by what there was none of: the first of a few versions and reasons. */
type Firsts = Map<string, BufferedEvent>;

/**
 * Events into which others are folded. Found by texts that requests have in hand, one within the other: to put them
 * together to one key would cost more than all else that is done for a read.
 */
export class ReadFolds {
  // Few callers and addresses outside, many tokens inside: as few maps as can be.
  readonly #byActor = new Map<string, Map<string | null, Firsts>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(event: AuditEvent): BufferedEvent | undefined {
    const { id, sourceIp } = event.actor;
    let one = this.#byActor.get(id)?.get(sourceIp)?.get(tokenOf(event));
    while (one && !one.isOf(event)) one = one.next;
    return one;
  }

  /** @param buffered made of the event */
  add(event: AuditEvent, buffered: BufferedEvent): void {
    const byAddress = getOrMake(this.#byActor, event.actor.id, newMap<string | null, Firsts>);
    const byToken = getOrMake(byAddress, event.actor.sourceIp, newMap<string, BufferedEvent>);
    const token = tokenOf(event);
    buffered.next = byToken.get(token);
    byToken.set(token, buffered);
    this.#size += 1;
  }

  *all(): Iterable<BufferedEvent> {
    for (const byAddress of this.#byActor.values())
      for (const byToken of byAddress.values())
        for (const first of byToken.values())
          for (let one: BufferedEvent | undefined = first; one; one = one.next) yield one;
  }
}

/** One company may have many sessions, and so many tokens. */
function tokenOf({ tokenFingerprint, connectionId, resource }: AuditEvent): string {
  return tokenFingerprint ?? connectionId ?? resource;
}
