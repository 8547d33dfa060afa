import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { AuditStore } from '../audit/audit.store.js';
import { Database } from '../database/database.js';
import { resourceOf } from '../http/caller.js';
import type { Actor } from '../shared/actor.js';
import { Clock } from '../shared/clock.js';
import type { Subject } from '../shared/ids.js';
import { Problem } from '../shared/problem.js';
import { WaitingLines } from './waiting-lines.js';

/** Credentials of one caller that may be refused within an hour; then it has to wait. */
const MOST_REFUSED = 5;
const WINDOW_S = 3_600;
/** A proof that did not come back within this time was lost with its process. */
const LOST_AFTER_S = 60;
/** How long a proof waits while others of the same caller are being decided, in milliseconds. */
const WAITS_MS = 10_000;
const LOOK_AGAIN_MS = 50;

const LOCK = { text: `select pg_advisory_xact_lock(hashtextextended($1, 0))` };
const COUNT = {
  text: `select count(*) filter (where refused)::int as refused, count(*)::int as counted,
                ceil(extract(epoch from min(at) filter (where refused) + make_interval(secs => $2) - broker_now()))::int
                  as "waitS"
         from credential_proofs
         where caller = $1 and at > broker_now() - make_interval(secs => case when refused then $2 else $3 end)`,
};
const BEGIN = {
  text: `with forgotten as (delete from credential_proofs where at <= broker_now() - make_interval(secs => $3))
         insert into credential_proofs (id, caller) values ($1, $2)`,
};
const REFUSE = { text: `update credential_proofs set refused = true, at = broker_now() where id = $1` };
const FORGET = { text: `delete from credential_proofs where id = $1` };

interface Count {
  readonly refused: number;
  readonly counted: number;
  readonly waitS: number | null;
}

/**
 * Keeps callers from guessing credentials through the broker, over all replicas: a proof takes one of five places before
 * it is made, and keeps it for an hour if the provider refuses. The only SQL on `credential_proofs`.
 */
@Injectable()
export class ProofLimit {
  readonly #lines = new WaitingLines();

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly audit: AuditStore,
  ) {}

  /** Takes a place; its id. Throws Problem `rate_limited` where refusals hold all of them. */
  async begin(caller: string): Promise<string> {
    const until = this.clock.monotonic() + WAITS_MS;
    return this.#lines.join(caller, () => this.#begin(caller, until));
  }

  async #begin(caller: string, until: number): Promise<string> {
    const id = randomUUID();
    for (;;) {
      const { refused, counted, waitS } = await this.#tryToBegin(id, caller);
      if (counted < MOST_REFUSED) return id;
      if (refused >= MOST_REFUSED) {
        throw limited(
          'Too many credentials of this caller were refused within an hour.',
          Math.max(1, waitS ?? 1),
        );
      }
      // The other places are held by proofs that are being made: honest ones are given back in a moment.
      if (this.clock.monotonic() > until) {
        throw limited('Too many credentials of this caller are being proven now; send fewer at once.', 1);
      }
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** The provider refused: the place stays taken for an hour. */
  async refuse(id: string, subject: Subject, actor: Actor): Promise<void> {
    await this.database.transaction(async (run) => {
      await run(REFUSE, [id]);
      await this.audit.write(run, {
        actor,
        action: 'connection:write',
        outcome: 'failed',
        resource: resourceOf(subject),
        reason: 'credential_rejected',
      });
    });
  }

  /** The provider did not refuse: the place is free again. */
  async forget(id: string): Promise<void> {
    await this.database.run(FORGET, [id]);
  }

  async #tryToBegin(id: string, caller: string): Promise<Count> {
    return this.database.transaction(async (run) => {
      await run(LOCK, [`proofs of ${caller}`]);
      const [count] = await run<Count>(COUNT, [caller, WINDOW_S, LOST_AFTER_S]);
      if (!count) throw new Error('counting gave nothing');
      if (count.counted < MOST_REFUSED) await run(BEGIN, [id, caller, WINDOW_S]);
      return count;
    });
  }
}

function limited(detail: string, retryAfterS: number): Problem {
  return new Problem(
    'rate_limited',
    detail,
    { retry_after: retryAfterS },
    {
      headers: {
        'ratelimit-policy': `"proofs";q=${MOST_REFUSED};w=${WINDOW_S}`,
        ratelimit: `"proofs";r=0;t=${retryAfterS}`,
      },
    },
  );
}
