export { authorizedFetch } from './authorized-fetch.js';
export { addTokens, type AxiosInstance, type AxiosRequest } from './axios-tokens.js';
export { BrokerToken } from './broker-token.js';
export type { Credential } from './credential.js';
export {
  FyndExtensionStorage,
  type ExtensionStorage,
  type FyndExtensionStorageSettings,
} from './fynd-extension-storage.js';
export { TokenBrokerError } from './token-broker-error.js';
export type { TokenSource } from './token-source.js';
export {
  TokenBroker,
  type ImportedGrant,
  type SessionOwner,
  type Subject,
  type TokenBrokerSettings,
} from './token-broker.js';
