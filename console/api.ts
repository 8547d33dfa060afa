/** What the API answers where it does not do what it was asked for (RFC 9457). */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly fields: Readonly<Record<string, string>> = {},
    detail = 'The broker cannot be reached. Nothing is lost: this page tries again.',
  ) {
    super(detail);
  }
}

interface ProblemBody {
  readonly code?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
}

type Listener = () => void;

const onEnded = new Set<Listener>();

/** Calls back when the API does not know this browser (any more). */
export function whenSessionEnds(listener: Listener): () => void {
  onEnded.add(listener);
  return () => void onEnded.delete(listener);
}

/** One call of the API, by the session's cookie, which the browser adds. Throws a Refusal. */
export async function call<T>(
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<T> {
  const response = await fetch(path, {
    method,
    redirect: 'error',
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch(() => {
    throw new Refusal(0, 'unreachable');
  });
  const text = await response.text().catch(() => '');
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T;
  const isSignIn = headers['authorization'] !== undefined;
  if (response.status === 401 && !isSignIn) onEnded.forEach((listener) => listener());
  throw refusalOf(response.status, text);
}

function refusalOf(status: number, text: string): Refusal {
  try {
    const { code = 'unknown', detail, errors = [] } = JSON.parse(text) as ProblemBody;
    return new Refusal(status, code, Object.fromEntries(errors.map((it) => [it.field, it.message])), detail);
  } catch {
    return new Refusal(status, 'unknown', {}, `Something between here and the broker answered ${status}.`);
  }
}

/** A query of what was filled in. */
export function query(values: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(values).filter((it): it is [string, string] => !!it[1]);
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next_cursor: string | null;
}
