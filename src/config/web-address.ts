import { isURL, ValidateBy } from 'class-validator';

const ADDRESS = {
  protocols: ['http', 'https'],
  require_protocol: true,
  require_tld: false,
  disallow_auth: true,
  allow_query_components: false,
  allow_fragments: false,
};

/** The pattern lets some addresses pass that no URL can be made of, like a host that ends as an odd number does. */
const IsWebAddress = (options: typeof ADDRESS, message: string): PropertyDecorator =>
  ValidateBy({
    name: 'isWebAddress',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && isURL(value, options) && URL.canParse(value),
      defaultMessage: () => message,
    },
  });

/** Where something is, to which paths are added. */
export const IsAddress = (): PropertyDecorator =>
  IsWebAddress(ADDRESS, 'must be an http(s) address without user, query or fragment');

/** A whole address; an endpoint may have a query of its own (RFC 6749 3.1). */
export const IsEndpoint = (): PropertyDecorator =>
  IsWebAddress(
    { ...ADDRESS, allow_query_components: true },
    'must be an http(s) address without user or fragment',
  );
