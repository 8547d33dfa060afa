import { setTimeout as sleep } from 'node:timers/promises';

export interface ApiAnswer {
  readonly status: number;
  /** An empty object where it was no JSON. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Seconds after which it may be sent again; null where nobody says. */
  readonly retryAfterS: number | null;
  /** Which limit refused it: `changes`, `proofs`; null where none did. */
  readonly limit: string | null;
  /** The broker's time. */
  readonly now: Date;
}

/** The broker cannot be asked: not for as long as anybody wants to wait, or not before somebody mends something. */
export class BrokerAway extends Error {}
/** Somebody wants it to end. */
export class Stopped extends Error {}

/** As long as one request may take, in milliseconds: the broker itself gives up sooner. */
const TIMEOUT_MS = 60_000;
const FIRST_WAIT_S = 0.5;
const MOST_WAIT_S = 15;
/** Places for proofs are given back within seconds, unless refusals hold them for an hour. */
const SHORT_S = 30;
/** What Node calls a certificate that is not believed. */
const CERTIFICATE = /CERT|LEAF_SIGNATURE|ALTNAME/;

/** The broker's API, asked as its limits want it: it waits as long as it is told, and tries again what has not got through. */
export class BrokerApi {
  readonly #base: string;
  /** It is told once for all requests that wait for the same. */
  #isAway = false;

  /**
   * @param key read for each request, since its file may change
   * @param tell takes a line for whoever waits
   * @param patienceS how long a request that does not get through is tried
   */
  constructor(
    url: string,
    private readonly key: () => string,
    private readonly stopping: AbortSignal,
    private readonly tell: (line: string) => void,
    private readonly patienceS = 300,
  ) {
    this.#base = url.replace(/\/+$/, '');
  }

  /** Throws BrokerAway where nobody answers in time, or the key or the certificate is refused, and Stopped. */
  async send(method: 'GET' | 'PUT' | 'POST', path: string, body?: unknown): Promise<ApiAnswer> {
    const until = performance.now() + this.patienceS * 1_000;
    for (let tries = 0; ; tries += 1) {
      if (this.stopping.aborted) throw new Stopped();
      const answer = await this.#try(method, path, body).catch((error: unknown) => whyNot(error));
      if (typeof answer !== 'string' && !isPassing(answer)) {
        this.#isAway = false;
        return answer;
      }
      const why = typeof answer === 'string' ? answer : `it answers ${answer.status}`;
      const told = typeof answer === 'string' ? null : answer.retryAfterS;
      const backoff = Math.min(FIRST_WAIT_S * 2 ** tries, MOST_WAIT_S) * (0.5 + Math.random() / 2);
      const waitS = Math.max(told ?? 0, backoff);
      if (performance.now() + waitS * 1_000 > until)
        throw new BrokerAway(`the broker cannot be asked: ${why}`);
      if (typeof answer === 'string' || answer.status !== 429) this.#tellAway(why);
      await sleep(waitS * 1_000, undefined, { signal: this.stopping }).catch(() => undefined);
    }
  }

  #tellAway(why: string): void {
    if (!this.#isAway)
      this.tell(`waiting for BROKER_URL (${why}), up to ${Math.ceil(this.patienceS / 60)} minutes`);
    this.#isAway = true;
  }

  async #try(method: string, path: string, body: unknown): Promise<ApiAnswer> {
    const response = await fetch(`${this.#base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.key()}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      // The key belongs to the broker, and to nobody that it might name.
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const { status, headers } = response;
    const [, limit = null] = /^"([a-z-]+)"/.exec(headers.get('ratelimit-policy') ?? '') ?? [];
    if (status === 401) throw new BrokerAway('BROKER_KEY is refused by BROKER_URL');
    const date = Date.parse(headers.get('date') ?? '');
    return {
      status,
      body: readObject(await response.text()),
      retryAfterS: headers.has('retry-after') ? Number(headers.get('retry-after')) : null,
      limit: status === 429 ? limit : null,
      now: new Date(Number.isNaN(date) ? Date.now() : date),
    };
  }
}

/** Worth sending again: a limit that is over soon, or a broker that is not there just now. */
function isPassing({ status, limit, retryAfterS, body }: ApiAnswer): boolean {
  if (status === 429) return limit !== 'proofs' || (retryAfterS ?? 0) <= SHORT_S;
  // A provider that is away may be so for hours; what else is in the file may go somewhere else.
  return status >= 502 && status <= 504 && body['code'] !== 'provider_unavailable' && !isOurs(body);
}

/** 502 with one of the broker's codes is a verdict, and no gateway's. */
function isOurs({ code }: ApiAnswer['body']): boolean {
  return code === 'provider_misconfigured' || code === 'provider_protocol_error';
}

/** `fetch` says why in a cause, and "fetch failed" in its own words. Throws BrokerAway where waiting does not mend it. */
function whyNot(error: unknown): string {
  if (error instanceof BrokerAway) throw error;
  const { name, cause } = error as { name?: string; cause?: { code?: string; message?: string } };
  if (name === 'TimeoutError') return 'it does not answer in time';
  if (CERTIFICATE.test(cause?.code ?? ''))
    throw new BrokerAway(
      `the certificate of BROKER_URL is not believed (${cause?.code}): where its authority is your own, name it in NODE_EXTRA_CA_CERTS`,
    );
  return cause?.code ?? cause?.message ?? 'nothing answers there';
}

function readObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
