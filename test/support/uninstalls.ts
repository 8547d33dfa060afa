import { createHmac } from 'node:crypto';
import { UninstallService } from '../../src/oauth/uninstall.service.js';
import { ask, eventually, type Answer } from './http.js';
import { API_SECRET, type LocalBroker, type World } from './world.js';

/** What Fynd tells of a company that has uninstalled the extension, unsigned. */
export function hint(
  at: { public: string },
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return ask('POST', `${at.public}/fp/uninstall`, headers, body);
}

/** The same, signed as Fynd is about to. */
export function signedHint(at: { public: string }, body: object, secret = API_SECRET): Promise<Answer> {
  const text = JSON.stringify(body);
  return hint(at, text, { 'x-fp-signature': signature(text, secret) });
}

export function signature(text: string, secret = API_SECRET): string {
  return createHmac('sha256', secret).update(text).digest('hex');
}

/** Lets all that is due now be proven to its end. */
export async function proveAll(world: World, { broker }: LocalBroker): Promise<void> {
  await eventually(async () => {
    await broker.app.get(UninstallService).look();
    const [{ open } = { open: 1 }] = await world.sql<{ open: number }>(
      `select count(*)::int as open from uninstall_hints
       where taken_until is not null or proof_at <= broker_now()`,
    );
    return open === 0;
  });
}
