import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import { type Answer, answerOf, statusAnswer } from './answer.js';
import type { SimulatorClock } from './clock.js';
import type { CommonSettings } from './common-settings.js';
import { type Hardships, hangUp, send } from './delivery.js';
import type { Fault, FaultScript, ScriptedFault } from './faults.js';
import type { HeldCalls } from './held-calls.js';
import type { EndOfCall, Ledger, TokenCall } from './ledger.js';
import { RateLimiter } from './rate-limiter.js';
import type { SettingsStore } from './settings-store.js';

/** What a provider made of a call: its answer, and for the ledger what that amounts to. */
export interface Work {
  readonly answer: Answer;
  readonly outcome: string;
  readonly reused?: boolean;
}

/** Does what was asked, state and all. @param offsetMs how wrong the wall clock of the answer is */
export type Perform = (offsetMs: number) => Work;

type Played = Parameters<EndOfCall>[0];

/** What all providers of a simulator share. */
export interface Stage {
  readonly script: FaultScript;
  readonly held: HeldCalls;
  readonly ledger: Ledger;
  readonly clock: SimulatorClock;
}

/** Runs one provider's calls under the fault that strikes them, if any, and records token calls. */
export class FaultPlayer {
  private readonly limiter: RateLimiter;

  constructor(
    private readonly stage: Stage,
    private readonly settings: SettingsStore<CommonSettings>,
    private readonly tooMany: Answer = statusAnswer({}, 429),
  ) {
    this.limiter = new RateLimiter(stage.clock);
  }

  /** A call that counts against the rate limit, and is entered in the ledger as it arrives. */
  async runTokenCall(call: TokenCall, reply: FastifyReply, perform: Perform): Promise<FastifyReply> {
    const { ledger, clock } = this.stage;
    const end = ledger.begin(call, clock.now());
    const wait = this.limiter.take(this.settings.current.rate_limit);
    end(wait === null ? await this.play(call, reply, perform) : await this.turnAway(reply, wait));
    return reply;
  }

  /** A browser's call: faults strike it, the ledger does not list it. */
  async runBrowserCall(call: TokenCall, reply: FastifyReply, perform: Perform): Promise<FastifyReply> {
    await this.play(call, reply, perform);
    return reply;
  }

  private async play(call: TokenCall, reply: FastifyReply, perform: Perform): Promise<Played> {
    const scripted = this.stage.script.take(call);
    if (scripted === null) {
      const offsetMs = this.settings.current.clock_offset_s * 1000;
      const work = perform(offsetMs);
      await this.answer(reply, work.answer, offsetMs);
      return played(work, work.answer.status, null);
    }
    return this.playFault(scripted, reply, perform);
  }

  private async playFault(
    { id, fault }: ScriptedFault,
    reply: FastifyReply,
    perform: Perform,
  ): Promise<Played> {
    const offsetMs = (this.settings.current.clock_offset_s + (fault.clock_offset_s ?? 0)) * 1000;
    let work = fault.perform_first || fault.lost_reply ? perform(offsetMs) : null;
    if (fault.delay_ms !== undefined) await sleep(fault.delay_ms, undefined, { ref: false });
    const isDropped = await this.holdIfAsked(fault, reply);
    if (isDropped || fault.reset || fault.lost_reply) {
      hangUp(reply, fault);
      return played(work, null, id);
    }
    let answer = answerOf(fault, work?.answer ?? null);
    if (answer === null) {
      work ??= perform(offsetMs);
      answer = work.answer;
    }
    await this.answer(reply, answer, offsetMs, fault);
    return played(work, answer.status, id);
  }

  /** True when the call ended while it was held: its caller hung up, or the simulator was reset. */
  private async holdIfAsked(fault: Fault, reply: FastifyReply): Promise<boolean> {
    if (!fault.hang && !fault.hold_until_released) return false;
    return (await this.stage.held.wait(fault.hang ? reply.raw : undefined)) === 'abandoned';
  }

  /** No fault is used up by a call that comes too soon. */
  private async turnAway(reply: FastifyReply, wait: number): Promise<Played> {
    const { headers, ...answer } = this.tooMany;
    const offsetMs = this.settings.current.clock_offset_s * 1000;
    await this.answer(reply, { ...answer, headers: { ...headers, 'retry-after': String(wait) } }, offsetMs);
    return { outcome: 'rate_limited', reused: false, status: 429, fault: null };
  }

  private answer(
    reply: FastifyReply,
    answer: Answer,
    offsetMs: number,
    hardships?: Hardships,
  ): Promise<void> {
    const date = new Date(this.stage.clock.now() + offsetMs).toUTCString();
    return send(reply, { ...answer, headers: { ...answer.headers, date } }, hardships);
  }
}

function played(work: Work | null, status: number | null, fault: string | null): Played {
  return { outcome: work?.outcome ?? 'not_performed', reused: work?.reused ?? false, status, fault };
}
