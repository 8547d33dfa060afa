import type { TokenCall } from './ledger.js';

/** Which calls a fault strikes, how often, and what it does to them. README.md explains each field. */
export interface Fault {
  readonly provider: string;
  readonly operation?: string;
  readonly company_id?: string | number;
  readonly username?: string;
  readonly times?: number;

  readonly perform_first?: boolean;
  readonly delay_ms?: number;
  readonly hang?: boolean;
  readonly hold_until_released?: boolean;
  readonly reset?: boolean;
  readonly lost_reply?: boolean;
  readonly redirect?: string;
  readonly malformed?: 'text' | 'html' | 'no_token' | 'truncated';
  readonly status?: number;
  readonly content?: 'json' | 'html' | 'empty';
  readonly body?: unknown;
  readonly retry_after?: number | string;
  readonly clock_offset_s?: number;
  readonly drip_ms?: number;
  readonly gzip?: boolean;
  /** Megabytes. */
  readonly huge?: number;
  /** Kilobytes. */
  readonly header_bomb?: number;
  readonly half_closed?: boolean;
  readonly rst?: boolean;
}

/** A fault with its place in the script. */
export interface ScriptedFault {
  readonly id: string;
  readonly fault: Fault;
  /** Null: until it is cleared. */
  remaining: number | null;
}

const switchedOn = { const: true };

/** JSON schema of what `POST /_simulator/faults` takes. */
export const faultSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['provider'],
  properties: {
    provider: { type: 'string' },
    operation: { type: 'string' },
    company_id: { type: ['string', 'integer'] },
    username: { type: 'string' },
    times: { type: 'integer', minimum: 1 },
    perform_first: { type: 'boolean' },
    delay_ms: { type: 'integer', minimum: 0, maximum: 600_000 },
    hang: switchedOn,
    hold_until_released: switchedOn,
    reset: switchedOn,
    lost_reply: switchedOn,
    redirect: { type: 'string', minLength: 1 },
    malformed: { enum: ['text', 'html', 'no_token', 'truncated'] },
    status: { type: 'integer', minimum: 200, maximum: 599 },
    content: { enum: ['json', 'html', 'empty'] },
    body: {},
    retry_after: { type: ['integer', 'string'] },
    clock_offset_s: { type: 'number' },
    drip_ms: { type: 'integer', minimum: 1, maximum: 60_000 },
    gzip: switchedOn,
    huge: { type: 'integer', minimum: 1, maximum: 10_240 },
    header_bomb: { type: 'integer', minimum: 1, maximum: 10_240 },
    half_closed: switchedOn,
    rst: switchedOn,
  },
  dependencies: { content: ['status'], body: ['status'], retry_after: ['status'] },
};

const ENDINGS = ['reset', 'lost_reply', 'redirect', 'malformed', 'status'] as const;
const EFFECTS = [
  ...ENDINGS,
  'delay_ms',
  'hang',
  'hold_until_released',
  'clock_offset_s',
  'drip_ms',
  'gzip',
  'huge',
  'header_bomb',
  'half_closed',
] as const;

/** What an endless stream cannot do as well. */
const NOT_WHILE_HUGE = ['drip_ms', 'half_closed'] as const;

/** These are no token calls: a fault that names no operation must not be used up by one. */
const ASIDE = new Set(['authorize', 'discovery', 'revoke']);

/** What is wrong with a fault that its schema cannot tell; null when it makes sense. */
export function contradictionIn(fault: Fault): string | null {
  if (!EFFECTS.some((effect) => fault[effect] !== undefined)) {
    return `a fault needs an effect: one of ${EFFECTS.join(', ')}`;
  }
  const endings = ENDINGS.filter((ending) => fault[ending] !== undefined);
  const isLostReply = endings.length === 2 && endings[0] === 'reset' && endings[1] === 'lost_reply';
  if (endings.length > 1 && !isLostReply)
    return `a call can end in one way only, not in ${endings.join(' and ')}`;
  const tooMuch = NOT_WHILE_HUGE.find((effect) => fault[effect] !== undefined);
  if (fault.huge !== undefined && (tooMuch !== undefined || fault.malformed === 'truncated'))
    return `huge and ${tooMuch ?? 'truncated'} exclude each other`;
  if (fault.rst && !fault.reset && !fault.lost_reply && fault.malformed !== 'truncated')
    return 'rst needs one of reset, lost_reply, truncated';
  if (fault.body !== undefined && fault.content !== undefined) return 'body and content exclude each other';
  return null;
}

/** The faults that wait for a call. The oldest one that matches strikes, and only that one. */
export class FaultScript {
  private faults: ScriptedFault[] = [];
  private added = 0;

  add(fault: Fault): ScriptedFault {
    const scripted = { id: `fault-${++this.added}`, fault, remaining: fault.times ?? null };
    this.faults.push(scripted);
    return scripted;
  }

  list(): readonly ScriptedFault[] {
    return this.faults;
  }

  /** The fault that strikes this call, counted as used; null when the call goes through. */
  take(call: Pick<TokenCall, 'provider' | 'operation' | 'company_id' | 'username'>): ScriptedFault | null {
    const found = this.faults.find(({ fault }) => strikes(fault, call));
    if (found === undefined) return null;
    if (found.remaining !== null && --found.remaining === 0) this.remove(found.id);
    return found;
  }

  /** False when there is none of that id, because it was used up or never there. */
  remove(id: string): boolean {
    const before = this.faults.length;
    this.faults = this.faults.filter((scripted) => scripted.id !== id);
    return this.faults.length < before;
  }

  /** How many were cleared. Calls that are held already stay held. */
  clear(): number {
    return this.faults.splice(0).length;
  }

  /** Clears the script and counts from 1 again. */
  reset(): void {
    this.clear();
    this.added = 0;
  }
}

function strikes(
  fault: Fault,
  call: Pick<TokenCall, 'provider' | 'operation' | 'company_id' | 'username'>,
): boolean {
  if (fault.provider !== call.provider) return false;
  if (fault.operation === undefined ? ASIDE.has(call.operation) : fault.operation !== call.operation) {
    return false;
  }
  if (fault.company_id !== undefined && String(fault.company_id) !== call.company_id) return false;
  return fault.username === undefined || fault.username === call.username;
}
