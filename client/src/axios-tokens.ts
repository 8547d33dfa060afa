import type { BrokerToken } from './broker-token.js';
import type { TokenSource } from './token-source.js';

/** As much of a request's configuration as is touched. */
export interface AxiosRequest {
  headers: { set(name: string, value: string): unknown };
  data?: unknown;
  baseURL?: string | undefined;
  url?: string | undefined;
  maxRedirects?: number;
  fetchOptions?: object | undefined;
}

interface Interceptors<Value> {
  use(
    onFulfilled: (value: Value) => Value | Promise<Value>,
    onRejected?: (error: unknown) => unknown,
  ): number;
  eject(id: number): void;
}

/** As much of an axios instance as is needed, so that axios is a dependency of those alone who have it. */
export interface AxiosInstance<Request extends AxiosRequest, Response extends object> {
  getUri(config: object): string;
  request(config: object): Promise<unknown>;
  readonly interceptors: {
    readonly request: Interceptors<Request>;
    readonly response: Interceptors<Response>;
  };
}

/** What an answer, and the error that is made of one, have in common. */
interface Settled {
  readonly config?: AxiosRequest;
  readonly status?: number;
  readonly response?: { readonly status?: number };
}

/** Marks a request that is sent for the second time; axios copies what it does not know. */
const REPEATED = 'tokenBrokerRepeated';

/**
 * Has an axios instance send the token with each request that goes to the provider's `base_url`, and with no other. After
 * a 401 the token is reported and, where that brings another, the request repeated once; never after a 403. A request that
 * carries the token follows no redirect: its header would go along to wherever that leads.
 *
 * @returns what takes all of it away again
 */
export function addTokens<Request extends AxiosRequest, Response extends object>(
  axios: AxiosInstance<Request, Response>,
  source: TokenSource,
): () => void {
  const sent = new WeakMap<object, BrokerToken>();

  const requests = axios.interceptors.request.use(async (request) => {
    const token = await source.get();
    const address = axios.getUri({ baseURL: request.baseURL, url: request.url });
    // One without an origin goes nowhere that a token is for.
    if (!token.belongsTo(new URL(address, 'about:blank'))) return request;
    request.headers.set(token.header.name, token.header.value);
    request.maxRedirects = 0;
    request.fetchOptions = { ...request.fetchOptions, redirect: 'manual' };
    sent.set(request, token);
    return request;
  });

  /** What the repeated request came to; undefined where there is nothing to repeat. */
  const repeat = async ({ config, status, response }: Settled): Promise<unknown> => {
    const token = config && sent.get(config);
    if (!token || (status ?? response?.status) !== 401 || REPEATED in config || isStream(config.data)) return;
    const other = await source.reportRefused(token).catch(() => token);
    return other.version === token.version ? undefined : axios.request({ ...config, [REPEATED]: true });
  };

  const responses = axios.interceptors.response.use(
    async (response) => ((await repeat(response)) as Response | undefined) ?? response,
    async (error: unknown) => {
      const answer = await repeat(error as Settled);
      if (answer === undefined) throw error;
      return answer;
    },
  );

  return () => {
    axios.interceptors.request.eject(requests);
    axios.interceptors.response.eject(responses);
  };
}

/** What can be read but once has been read. */
function isStream(data: unknown): boolean {
  return typeof data === 'object' && data !== null && ('pipe' in data || 'getReader' in data);
}
