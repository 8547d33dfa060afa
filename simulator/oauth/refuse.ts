import { STATUS_CODES } from 'node:http';
import { jsonAnswer } from '../answer.js';
import type { Work } from '../fault-player.js';
import type { Refusal } from '../refusal.js';
import type { ClientRefusal } from './client-check.js';
import type { OAuthSettings } from './settings.js';

/**
 * Puts a refusal on the wire. Connect has codes for what is wrong with the client, and none for what is wrong with a
 * grant: there its code repeats the status.
 */
export function refuse(refusal: Refusal | ClientRefusal, style: OAuthSettings['error_style']): Work {
  const { error, description, status, outcome = error, reused = false } = refusal;
  const code = 'connectCode' in refusal ? refusal.connectCode : status;
  const message = 'connectCode' in refusal ? description : (STATUS_CODES[status] ?? 'Error');
  const body = style === 'rfc6749' ? { error, error_description: description } : { code, message };
  const { headers, ...answer } = jsonAnswer(status, body);
  return { answer: { ...answer, headers: { ...headers, 'cache-control': 'no-store' } }, outcome, reused };
}
