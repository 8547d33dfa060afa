import { STATUS_CODES } from 'node:http';
import type { Fault } from './faults.js';
import { mintSecret } from './secrets.js';

/** What goes over the wire. */
export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The connection ends in the middle of the body. */
  readonly truncated?: boolean;
}

export function jsonAnswer(status: number, body: unknown): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify(body),
  };
}

export function htmlAnswer(status: number, body: string): Answer {
  return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body };
}

export function redirectAnswer(location: string): Answer {
  return { status: 302, headers: { location }, body: '' };
}

/** The answer that a fault gives in place of the provider's (`real`, where the work was done); null when it gives none. */
export function answerOf(fault: Fault, real: Answer | null): Answer | null {
  if (fault.redirect !== undefined) return redirectAnswer(fault.redirect);
  if (fault.malformed !== undefined) return malformedAnswer(fault.malformed, real);
  if (fault.status === undefined) return null;
  const answer = statusAnswer(fault, fault.status);
  if (fault.retry_after === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, 'retry-after': String(fault.retry_after) } };
}

/** A status with the body that a fault gives it, or one that means nothing. */
export function statusAnswer(fault: Pick<Fault, 'body' | 'content'>, status: number): Answer {
  if (fault.body !== undefined) return jsonAnswer(status, fault.body);
  const reason = STATUS_CODES[status] ?? 'Unknown';
  if (fault.content === 'empty') return { status, headers: {}, body: '' };
  if (fault.content === 'html')
    return htmlAnswer(status, `<!doctype html><title>${status}</title><h1>${reason}</h1>`);
  return jsonAnswer(status, { message: reason, status, code: `SIMULATED-${status}` });
}

function malformedAnswer(kind: NonNullable<Fault['malformed']>, real: Answer | null): Answer {
  switch (kind) {
    case 'text':
      return { ...jsonAnswer(200, ''), body: 'access_token: see below' };
    case 'html':
      return htmlAnswer(200, '<!doctype html><title>Welcome</title><h1>Please sign in to the network</h1>');
    case 'no_token':
      return jsonAnswer(200, { token_type: 'bearer', expires_in: 3600 });
    case 'truncated':
      return {
        ...(real ?? jsonAnswer(200, { access_token: mintSecret('at'), expires_in: 3600 })),
        truncated: true,
      };
  }
}
