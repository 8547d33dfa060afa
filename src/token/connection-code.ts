import { FAILURE_CODES, type FailureCode } from '../provider/token-provider.js';

/** Codes of what the broker or a person did, beside those of what a provider's call came to. */
export const OWN_CODES = [
  'lost_in_flight',
  'store_unavailable',
  'reported',
  'expired',
  'paused_by_operator',
  'revoked_by_operator',
  'uninstalled',
] as const;

/** Everything that may stand in `status_reason` or `last_error`. */
export const CONNECTION_CODES = [...FAILURE_CODES, ...OWN_CODES];

export type ConnectionCode = FailureCode | (typeof OWN_CODES)[number];

/** A code in words. docs/connections.md has the same words; a test compares them. */
export interface Meaning {
  /** What is the matter, as the beginning of a sentence. */
  readonly matter: string;
  /** What a person has to do, as the beginning of another; a new grant is another thing with every kind of provider. */
  readonly remedy: string;
}

export const NEW_GRANT = 'A seller has to connect again, or an operator to keep another credential';
const NOTHING = 'Nobody has to do anything';
const UNLESS_IT_LASTS = `${NOTHING} unless it lasts`;

const MEANINGS: Readonly<Record<ConnectionCode, Meaning>> = {
  invalid_grant: { matter: 'The provider says that this grant is dead', remedy: NEW_GRANT },
  no_refresh_token: {
    matter: 'The provider gave no refresh token with this grant, so that nothing can renew it',
    remedy: NEW_GRANT,
  },
  refused_without_code: {
    matter: 'The provider refused the renewal and did not say why',
    remedy:
      "An operator has to compare the provider's settings with its registration, unless it is only this grant that is refused",
  },
  credential_refused: { matter: 'The provider refuses this credential', remedy: NEW_GRANT },
  client_refused: {
    matter: "The provider refuses the broker's client id or secret",
    remedy: 'An operator has to correct them in the settings; new ones are tried at once',
  },
  request_refused: {
    matter: 'The provider refuses the request itself: its form, its scopes or its kind of grant',
    remedy: "An operator has to correct the provider's settings",
  },
  endpoint_gone: {
    matter: "There is nothing at the provider's token address",
    remedy: "An operator has to correct the provider's address in the settings",
  },
  metadata_refused: {
    matter: "The provider's metadata is of another issuer, or leads elsewhere",
    remedy: 'An operator has to correct the issuer in the settings',
  },
  redirected: {
    matter: "The provider's token address redirects, which is not followed",
    remedy: 'An operator has to put the final address into the settings',
  },
  private_address: {
    matter: "The provider's name leads to a private address, where nothing is sent",
    remedy: 'An operator has to correct the address, or to allow private ones with `allow_private`',
  },
  rate_limited: {
    matter: 'The provider says that it is asked too often',
    remedy: `${UNLESS_IT_LASTS}: then lower its \`rate\` in the settings`,
  },
  server_error: {
    matter: 'The provider failed with an error of its own',
    remedy: `${UNLESS_IT_LASTS}: then ask the provider`,
  },
  not_reached: {
    matter: 'No connection to the provider could be made',
    remedy: `${UNLESS_IT_LASTS}: then look at its name, its certificate and the network`,
  },
  timed_out: {
    matter: 'The provider did not answer within its `timeout`',
    remedy: `${UNLESS_IT_LASTS}: then ask the provider`,
  },
  connection_lost: {
    matter: 'The connection to the provider ended before an answer came',
    remedy: `${UNLESS_IT_LASTS}: then look at the network`,
  },
  malformed_answer: {
    matter: "The provider's answer made no sense",
    remedy: `${UNLESS_IT_LASTS}: then see who answers at its address`,
  },
  answer_too_large: {
    matter: "The provider's answer was longer than any token's",
    remedy: `${UNLESS_IT_LASTS}: then see who answers at its address`,
  },
  token_missing: {
    matter: "The provider's answer had no token in it",
    remedy: `${UNLESS_IT_LASTS}: then see who answers at its address`,
  },
  lease_ran_out: {
    matter: 'The broker was held up for so long that it sent nothing',
    remedy: `${UNLESS_IT_LASTS}: then give the replicas more CPU`,
  },
  grant_unreadable: {
    matter: 'The grant does not open: its key is missing, or the row was changed by hand',
    remedy:
      'An operator has to bring the key back in `ENCRYPTION_KEYS`; without it a seller has to connect again, or the credential to be kept anew',
  },
  internal_error: {
    matter: 'The broker made a mistake, which its log names with this id',
    remedy: 'An operator has to report it',
  },
  lost_in_flight: {
    matter: 'A renewal was sent and its answer lost, and the refresh token may have been spent by it',
    remedy: `${NOTHING} while it is tried once more, as late as the token in hand allows`,
  },
  store_unavailable: {
    matter: 'A new token came while the database is away, and waits to be written',
    remedy: 'An operator has to bring the database back',
  },
  reported: {
    matter: 'A caller was refused this token with a 401, and nothing renews it',
    remedy: 'An operator has to see whether it still works, and to keep another',
  },
  expired: {
    matter: 'This token has expired, and nothing renews it',
    remedy: 'An operator has to keep another',
  },
  paused_by_operator: {
    matter: 'An operator has paused this connection',
    remedy: 'An operator has to resume it, once nobody else renews its grant',
  },
  revoked_by_operator: {
    matter: 'An operator has revoked this connection',
    remedy: `${NOTHING}, unless it is wanted again: then a seller has to connect again, or an operator to keep a credential`,
  },
  uninstalled: {
    matter: 'The seller has uninstalled the extension',
    remedy: `${NOTHING}, unless it is wanted again: then the seller has to install it again`,
  },
};

/** A code that another release has written is not known here. */
const UNKNOWN: Meaning = {
  matter: 'The last renewal failed for a reason that this release does not know',
  remedy: 'An operator has to look into the log of the newest replica',
};

/** Also of a code that nobody knows. */
export function meaningOf(code: string): Meaning {
  return Object.hasOwn(MEANINGS, code) ? MEANINGS[code as ConnectionCode] : UNKNOWN;
}
