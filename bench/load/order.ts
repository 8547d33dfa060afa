/** Which company each request is about, by numbers from 1; the same numbers in every run. */
export interface Companies {
  /**
   * `uniform`: each as often as any other. `zipf`: the n-th an n-th as often as the first. `walk`: every one once, in an
   * order in which neighbours are no neighbours in the database, and then again.
   */
  readonly order: 'uniform' | 'zipf' | 'walk';
  readonly count: number;
  /** From one number to the next, for some that lie far apart in a larger database; 1. */
  readonly spacing?: number;
  /** How many of them were taken before: there it goes on. */
  readonly from?: number;
}

/** What a load is to be. */
export interface LoadOrder {
  /** What is asked for; with `companies` all but the company's number, which closes it. */
  readonly url: string;
  readonly companies?: Companies;
  /** Each company is asked for with one of them, and a single one in turns. Without any, each request has a key that was never issued. */
  readonly keys?: readonly string[];
  /** Connections, each with one request at a time. */
  readonly clients: number;
  readonly seconds: number;
  /** Seconds before these that are not counted: connections are made, and both sides get warm. */
  readonly leadSeconds?: number;
  /** Ends after so many requests instead. */
  readonly requests?: number;
  /** Over all clients; without it, as fast as they are answered. */
  readonly perSecond?: number;
  /** Only counts: what the taking of times costs is found by going without. */
  readonly isUntimed?: boolean;
  /** The process whose processor time is told beside. */
  readonly serverPid?: number;
}

/** What came of it. */
export interface Load {
  /** How many answers, by status. */
  readonly answers: Readonly<Record<string, number>>;
  readonly perSecond: number;
  /** Milliseconds from a request to the end of its answer; 0 where untimed. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly p999: number };
  /** Processor time in proportion to the time that it took: 1 is one core, used all of the time. */
  readonly cores: { readonly generator: number; readonly server: number };
  /** The part of the time in which it had something to do, also while it waited for a core: at 1 it is the limit. */
  readonly busy: { readonly generator: number; readonly server: number };
  /** Requests, those that were not counted among them. */
  readonly sent: number;
}
