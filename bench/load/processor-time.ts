import { readFileSync } from 'node:fs';

/** Of one second, as Linux tells it to programs, whatever it counts in itself. */
const TICKS = 100;
const NANOSECONDS = 1e9;

/** Seconds. */
export interface ProcessorTime {
  /** That its threads have run, all together. */
  readonly ran: number;
  /** That its first thread, which runs the program, has run or waited for a processor: all but those in which it had nothing to do. */
  readonly busy: number;
}

/** Of a process; zeros where the system does not tell (Linux does). */
export function processorTimeOf(pid: number): ProcessorTime {
  try {
    // The name in parentheses may hold spaces; behind it, user and system time are the 12th and the 13th.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
    const [running = 0, waiting = 0] = readFileSync(`/proc/${pid}/schedstat`, 'latin1')
      .split(' ')
      .map(Number);
    return {
      ran: (Number(fields[11]) + Number(fields[12])) / TICKS,
      busy: (running + waiting) / NANOSECONDS,
    };
  } catch {
    return { ran: 0, busy: 0 };
  }
}
