/** As the broker's own. */
export const ROUTE = '/v1/tokens/:provider/companies/:companyId';
