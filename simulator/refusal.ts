/** Why a token call was refused: an OAuth code and the sentence that goes with it. */
export interface Refusal {
  readonly error:
    | 'invalid_client'
    | 'invalid_grant'
    | 'invalid_request'
    | 'invalid_scope'
    | 'unauthorized_client'
    | 'unsupported_grant_type';
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

export function missing(field: string): Refusal {
  return { error: 'invalid_request', description: `${field} is missing`, status: 400 };
}

export const UNSUPPORTED_GRANT_TYPE: Refusal = {
  error: 'unsupported_grant_type',
  description: 'This endpoint does not know the grant type',
  status: 400,
};
