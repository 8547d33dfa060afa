import { createHmac } from 'node:crypto';

const PATIENCE_MS = 10_000;

/** A control call that may end in a call to an extension's webhook. */
export interface CompanyEvent {
  readonly company_id: string | number;
  /** Where the extension listens; nobody is told without it. */
  readonly notify?: string;
  readonly sign?: boolean;
}

export const companyEventSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['company_id'],
  properties: {
    company_id: { type: ['string', 'integer'] },
    notify: { type: 'string', pattern: '^https?://' },
    sign: { type: 'boolean' },
  },
  dependencies: { sign: ['notify'] },
};

/** What the webhook made of it: its status, or null and the reason why it gave none. */
export interface Notified {
  readonly notify_status: number | null;
  readonly notify_error?: string;
}

/**
 * Tells an extension what has happened, as Fynd does; never throws, and follows no redirect.
 * @param secret signs the body; null sends it bare, as every library that is out expects it
 */
export async function notifyExtension(url: string, body: object, secret: string | null): Promise<Notified> {
  const text = JSON.stringify(body);
  const signature = secret === null ? null : createHmac('sha256', secret).update(text).digest('hex');
  try {
    const answer = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        ...(signature !== null && { 'x-fp-signature': signature }),
      },
      body: text,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    await answer.body?.cancel();
    return { notify_status: answer.status };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { notify_status: null, notify_error: cause instanceof Error ? cause.message : String(cause) };
  }
}
