import type { ConnectionStatus } from '../src/token/connection.js';

/** What the API answers: the very shapes of the server, of which nothing but their types comes along. */
export type { AuditAnswer, FoundEvent, ExposedToken } from '../src/audit/audit-answer.js';
export type { ClientAnswer } from '../src/clients/client-answer.js';
export type { ConsoleSessionAnswer, SessionProvider } from '../src/console/session-answer.js';
export type { DataKeyAnswer as KeyAnswer, DataKeysAnswer as KeysAnswer } from '../src/keys/key-answer.js';
export type { OverviewAnswer } from '../src/console/overview-answer.js';
export type { ConnectionAnswer, RevocationAnswer } from '../src/token/connection-answer.js';
export type { ProviderAnswer } from '../src/token/provider-answer.js';
export type { ConnectionStatus };

export interface LinkAnswer {
  readonly url: string;
  readonly expires_at: string;
}
