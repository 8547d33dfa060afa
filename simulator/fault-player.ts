import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import { type Answer, answerOf, hangUp, send } from './answer.js';
import type { SimulatorClock } from './clock.js';
import type { Fault, FaultScript, ScriptedFault } from './faults.js';
import type { HeldCalls } from './held-calls.js';
import type { EndOfCall, Ledger, TokenCall } from './ledger.js';

/** What a provider made of a call: its answer, and for the ledger what that amounts to. */
export interface Work {
  readonly answer: Answer;
  readonly outcome: string;
  readonly reused?: boolean;
}

/** Does what was asked, state and all. @param offsetMs how wrong the wall clock of the answer is */
export type Perform = (offsetMs: number) => Work;

type Played = Parameters<EndOfCall>[0];

/** Runs calls under the fault that strikes them, if any, and records token calls. */
export class FaultPlayer {
  constructor(
    private readonly script: FaultScript,
    private readonly held: HeldCalls,
    private readonly ledger: Ledger,
    private readonly clock: SimulatorClock,
  ) {}

  /** A call to a token endpoint: entered in the ledger as it arrives. */
  async runTokenCall(call: TokenCall, reply: FastifyReply, perform: Perform): Promise<FastifyReply> {
    const end = this.ledger.begin(call, this.clock.now());
    end(await this.play(call, reply, perform));
    return reply;
  }

  /** A browser's call: faults strike it, the ledger does not list it. */
  async runBrowserCall(call: TokenCall, reply: FastifyReply, perform: Perform): Promise<FastifyReply> {
    await this.play(call, reply, perform);
    return reply;
  }

  private async play(call: TokenCall, reply: FastifyReply, perform: Perform): Promise<Played> {
    const scripted = this.script.take(call);
    if (scripted === null) {
      const work = perform(0);
      await this.answer(reply, work.answer, 0);
      return played(work, work.answer.status, null);
    }
    return this.playFault(scripted, reply, perform);
  }

  private async playFault(
    { id, fault }: ScriptedFault,
    reply: FastifyReply,
    perform: Perform,
  ): Promise<Played> {
    const offsetMs = (fault.clock_offset_s ?? 0) * 1000;
    let work = fault.perform_first || fault.lost_reply ? perform(offsetMs) : null;
    if (fault.delay_ms !== undefined) await sleep(fault.delay_ms, undefined, { ref: false });
    const isDropped = await this.holdIfAsked(fault, reply);
    if (isDropped || fault.reset || fault.lost_reply) {
      hangUp(reply);
      return played(work, null, id);
    }
    let answer = answerOf(fault, work?.answer ?? null);
    if (answer === null) {
      work ??= perform(offsetMs);
      answer = work.answer;
    }
    await this.answer(reply, answer, offsetMs, fault.drip_ms);
    return played(work, answer.status, id);
  }

  /** True when the call ended while it was held: its caller hung up, or the simulator was reset. */
  private async holdIfAsked(fault: Fault, reply: FastifyReply): Promise<boolean> {
    if (!fault.hang && !fault.hold_until_released) return false;
    return (await this.held.wait(fault.hang ? reply.raw : undefined)) === 'abandoned';
  }

  private answer(reply: FastifyReply, answer: Answer, offsetMs: number, dripMs?: number): Promise<void> {
    const date = new Date(this.clock.now() + offsetMs).toUTCString();
    return send(reply, { ...answer, headers: { ...answer.headers, date } }, dripMs);
  }
}

function played(work: Work | null, status: number | null, fault: string | null): Played {
  return { outcome: work?.outcome ?? 'not_performed', reused: work?.reused ?? false, status, fault };
}
