import { STATUS_CODES } from 'node:http';
import { jsonAnswer } from '../answer.js';
import type { Work } from '../fault-player.js';
import type { Refusal } from '../refusal.js';
import type { FyndSettings } from './settings.js';

/** Puts a refusal on the wire. Fynd's own shape names no OAuth code, so that its reader is left to guess. */
export function refuse(refusal: Refusal, style: FyndSettings['error_style']): Work {
  const { error, description, status, outcome = error, reused = false } = refusal;
  const body =
    style === 'rfc6749'
      ? { error, error_description: description }
      : { message: STATUS_CODES[status] ?? 'Error', status, code: `SIMULATED-${status}` };
  return { answer: jsonAnswer(status, body), outcome, reused };
}
