import { Injectable } from '@nestjs/common';
import type { AuditEvent } from '../audit/audit-event.js';
import { AuditStore } from '../audit/audit.store.js';
import type { Actor } from '../shared/actor.js';
import { EVERYTHING } from '../shared/permission.js';
import { Problem } from '../shared/problem.js';
import { DataKeys, type Note } from '../vault/data-keys.js';
import { Resealing } from '../vault/resealing.js';
import {
  answerKey,
  answerKeys,
  type DataKeyAnswer,
  type DataKeysAnswer,
  type RewrappedKeysAnswer,
} from './key-answer.js';

/** What callers do with keys; each change leaves a trace, in its own transaction. */
@Injectable()
export class KeyService {
  constructor(
    private readonly keys: DataKeys,
    private readonly audit: AuditStore,
    private readonly resealing: Resealing,
  ) {}

  async list(): Promise<DataKeysAnswer> {
    return answerKeys(await this.keys.status(), this.resealing.why);
  }

  /** Throws Problem `key_service_unavailable`. */
  async rotate(actor: Actor): Promise<DataKeyAnswer> {
    const id = await this.keys.rotate(this.#noteOf(actor));
    const key = (await this.keys.status()).keys.find((it) => it.id === id);
    if (!key) throw new Problem('key_not_found', 'The key was made, and somebody has destroyed it already.');
    return answerKey(key);
  }

  /** Throws Problem `key_service_unavailable`. */
  async rewrap(actor: Actor): Promise<RewrappedKeysAnswer> {
    const rewrapped = await this.keys.rewrap(this.#noteOf(actor));
    return { ...(await this.list()), rewrapped };
  }

  /** Throws Problem `key_not_found` or `key_in_use`. */
  async destroy(id: string, actor: Actor): Promise<void> {
    await this.keys.destroy(id, this.#noteOf(actor));
  }

  #noteOf(actor: Actor): Note {
    const event = { actor, action: 'key:admin', outcome: 'allowed', resource: EVERYTHING } as const;
    return (run, reason) => this.audit.write(run, { ...event, reason } satisfies AuditEvent);
  }
}
