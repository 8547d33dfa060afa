import { isIP } from 'node:net';
import { Injectable } from '@nestjs/common';
import { Clock } from '../shared/clock.js';
import type { Problem } from '../shared/problem.js';
import { Metrics } from '../telemetry/metrics.js';
import { CountedWindows } from './counted-windows.js';
import { rateLimited, type Policy } from './rate-limit.js';

/** A key that is new here is looked up once; a service that has lost its own tries the same few again. */
export const UNKNOWN_CREDENTIALS: Policy = { name: 'unknown-credentials', quota: 60, windowS: 10 };

/** Undefined where whoever it was has hung up before anybody looked. */
type Address = string | undefined;

/**
 * How many credentials that nobody here knows an address may have looked up. Where more addresses than can be remembered
 * ask within one window, those that asked the longest ago are forgotten and begin anew: whoever has that many is not held
 * back by this, and neither locks anybody else out nor takes more memory.
 */
@Injectable()
export class AddressLimit {
  readonly #looked: CountedWindows;

  constructor(
    clock: Clock,
    private readonly metrics: Metrics,
  ) {
    this.#looked = new CountedWindows(UNKNOWN_CREDENTIALS, clock);
  }

  /** Counts one look-up from this address; where that is one too many, nothing is counted, and it is the seconds to wait. */
  take(address: Address): number | undefined {
    const network = networkOf(address);
    if (this.#looked.take(network)) return undefined;
    this.metrics.requestLimited('unknown_credentials');
    return Math.max(1, Math.ceil(this.#looked.endsIn(network) / 1_000));
  }

  /** Would another look-up be one too many? Nothing is counted. */
  isOver(address: Address): boolean {
    return this.#looked.left(networkOf(address)) <= 0;
  }

  /** It was a real credential: as if it had not been looked up. */
  giveBack(address: Address): void {
    this.#looked.giveBack(networkOf(address));
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#looked.size;
  }
}

/** Problem `rate_limited` for an address that has to wait. */
export function tooManyUnknown(waitS: number): Problem {
  const detail = 'Too many credentials that are not known came from this address.';
  return rateLimited(UNKNOWN_CREDENTIALS, detail, waitS * 1_000);
}

/**
 * Whose address it is: an IPv4 address itself, the /64 of an IPv6 one, since whoever has one of it has all. What is no
 * address, as a broken proxy may write it, is one and the same place.
 */
export function networkOf(address: Address): string {
  if (address === undefined) return 'no address';
  // Some proxies write the port, too.
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(address)?.[1] ?? address.replace(/^([\d.]+):\d+$/, '$1');
  const family = isIP(bare);
  if (family === 4) return bare;
  if (family !== 6) return 'no address';
  // In its one way of being written (RFC 5952), with an IPv4 address at its end as hexadecimal, too.
  const canonical = new URL(`http://[${bare.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(canonical);
  if (mapped) return dotted(mapped[1] ?? '', mapped[2] ?? '');
  const [head = [], tail = []] = canonical.split('::').map((half) => half.split(':').filter(Boolean));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`;
}

function dotted(high: string, low: string): string {
  const groups = [high, low].map((group) => parseInt(group, 16));
  return groups.flatMap((group) => [group >> 8, group & 255]).join('.');
}
