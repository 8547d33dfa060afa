import { STATUS_CODES } from 'node:http';
import { jsonAnswer } from '../answer.js';
import type { Work } from '../fault-player.js';
import type { FyndSettings } from './settings.js';

/** A refusal with its OAuth code and the sentence that goes with it. */
export interface Refusal {
  readonly error: 'invalid_client' | 'invalid_grant' | 'invalid_request' | 'unsupported_grant_type';
  readonly description: string;
  readonly status: number;
  /** For the ledger, where it is more precise than `error`. */
  readonly outcome?: string;
  readonly reused?: boolean;
}

export function isRefusal(value: object): value is Refusal {
  return 'error' in value;
}

export function deadGrant(description: string): Refusal {
  return { error: 'invalid_grant', description, status: 400 };
}

/** Puts a refusal on the wire. Fynd's own shape names no OAuth code, so that its reader is left to guess. */
export function refuse(refusal: Refusal, style: FyndSettings['error_style']): Work {
  const { error, description, status, outcome = error, reused = false } = refusal;
  const body =
    style === 'rfc6749'
      ? { error, error_description: description }
      : { message: STATUS_CODES[status] ?? 'Error', status, code: `SIMULATED-${status}` };
  return { answer: jsonAnswer(status, body), outcome, reused };
}
