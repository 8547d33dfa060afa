/** What is known of a token call when it arrives. Fingerprints stand for the secrets that it carried. */
export interface TokenCall {
  readonly provider: string;
  readonly operation: string;
  readonly dialect: string | null;
  readonly company_id: string | null;
  readonly username: string | null;
  /** For providers whose grants have ids of their own. */
  readonly grant_id: string | null;
  readonly fingerprints: Readonly<Record<string, string>>;
}

/** A token call as it is told to tests. */
export interface LedgerEntry extends TokenCall {
  readonly sequence: number;
  /** ISO 8601, on the simulator's clock. */
  readonly at: string;
  /** `in_flight`, `ok`, an error code, `rate_limited`, or `not_performed` when a fault answered before the work was done. */
  outcome: string;
  /** The HTTP status that was sent; null while in flight, or when nothing was sent. */
  status: number | null;
  /** A refresh token was sent that an earlier renewal had replaced. */
  reused: boolean;
  /** The fault that struck this call. */
  fault: string | null;
}

export interface LedgerFilter {
  readonly provider?: string;
  readonly operation?: string;
  readonly company_id?: string;
  readonly username?: string;
  readonly grant_id?: string;
}

export interface LedgerCounters {
  calls: number;
  /** Calls whose work was done, whether or not their answer arrived. */
  performed: number;
  renewals: number;
  exchanges: number;
  reused: number;
  rate_limited: number;
  in_flight: number;
  /** The most calls that were ever in flight at once. */
  peak_concurrency: number;
}

/** An entry with the moments at which it began and ended, in ticks: milliseconds are too coarse to order calls. */
interface Recorded {
  readonly entry: LedgerEntry;
  readonly began: number;
  ended: number | null;
}

/** Ends a ledger entry; called once, when the call has been answered or its connection closed. */
export type EndOfCall = (result: Pick<LedgerEntry, 'outcome' | 'status' | 'reused' | 'fault'>) => void;

const LIMIT = 100_000;

/** Every token call, in order of arrival; the oldest are dropped beyond 100,000. */
export class Ledger {
  private records: Recorded[] = [];
  private sequence = 0;
  private ticks = 0;
  private dropped = 0;

  /** @param at ms since the epoch */
  begin(call: TokenCall, at: number): EndOfCall {
    const record: Recorded = {
      entry: {
        sequence: ++this.sequence,
        at: new Date(at).toISOString(),
        ...call,
        outcome: 'in_flight',
        status: null,
        reused: false,
        fault: null,
      },
      began: ++this.ticks,
      ended: null,
    };
    this.records.push(record);
    this.dropOldest();
    return (result) => {
      Object.assign(record.entry, result);
      record.ended = ++this.ticks;
    };
  }

  /** The entries that match, oldest first, and what they amount to. `limit` keeps the newest entries only. */
  read(
    filter: LedgerFilter,
    limit = LIMIT,
  ): { entries: LedgerEntry[]; counters: LedgerCounters; dropped: number } {
    const wanted = Object.entries(filter);
    const found = this.records.filter(({ entry }) =>
      wanted.every(([field, value]) => entry[field as keyof LedgerFilter] === value),
    );
    const entries = limit === 0 ? [] : found.slice(-limit).map(({ entry }) => entry);
    return { entries, counters: count(found), dropped: this.dropped };
  }

  reset(): void {
    this.records = [];
    this.sequence = 0;
    this.dropped = 0;
  }

  /** A tenth at once: taking one from the front of a long array at every call would be slow. */
  private dropOldest(): void {
    if (this.records.length <= LIMIT) return;
    this.dropped += this.records.splice(0, LIMIT / 10).length;
  }
}

function count(records: readonly Recorded[]): LedgerCounters {
  const having = (test: (entry: LedgerEntry) => boolean): number =>
    records.filter(({ entry }) => test(entry)).length;
  return {
    calls: records.length,
    performed: having((entry) => entry.outcome === 'ok'),
    renewals: having((entry) => entry.operation === 'renew'),
    exchanges: having((entry) => entry.operation === 'exchange'),
    reused: having((entry) => entry.reused),
    rate_limited: having((entry) => entry.outcome === 'rate_limited'),
    in_flight: having((entry) => entry.outcome === 'in_flight'),
    peak_concurrency: peak(records),
  };
}

function peak(records: readonly Recorded[]): number {
  const steps = records.flatMap(({ began, ended }) => [
    { tick: began, step: 1 },
    ...(ended === null ? [] : [{ tick: ended, step: -1 }]),
  ]);
  let current = 0;
  let highest = 0;
  for (const { step } of steps.sort((a, b) => a.tick - b.tick)) {
    current += step;
    highest = Math.max(highest, current);
  }
  return highest;
}
