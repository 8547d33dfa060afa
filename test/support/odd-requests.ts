import { request } from 'node:http';
import fc, { type Arbitrary } from 'fast-check';
import type { Described, DescribedApi } from './described-api.js';
import { OF_ANY_TYPE, valueOf } from './described-input.js';
import type { Answer, Json } from './http.js';

/** A request as it goes over the wire, and the operation that it was drawn for. */
export interface OddRequest {
  readonly operation: Described;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** What is really there, by the name of a parameter: with it, a request gets further than its first check. */
export type Known = Readonly<Record<string, readonly string[]>>;

/** What stands in a path or a query as it is, encoded already. */
const ODD_TEXTS = [
  ...['', '.', '..', '%2e%2e', '%2f', '42%2f43', '42%252f43', '..%5c42', '%', '%zz', '%C3', '%ff'],
  ...[
    '%00',
    '42%00',
    '%0d%0ax:%20y',
    '%F0%9F%98%80',
    '%EF%BB%BF42',
    '%E2%80%AE',
    '*',
    '**',
    "'%20or%201=1--",
  ],
  ...['-1', '0', '007', '1e9', '1e999', '0x1f', 'NaN', '2147483648', '9223372036854775808', '9'.repeat(64)],
  ...['__proto__', 'constructor', 'toString', 'null', 'undefined', 'true', '[]', '{}', 'x'.repeat(1_100)],
  ...[
    '0001-01-01T00:00:00Z',
    '+275760-09-13T00:00:00Z',
    '9999-12-31T23:59:59.999999999Z',
    '2026-02-30T00:00:00Z',
  ],
];

const ODD_NAMES = ['what', '__proto__', 'constructor', 'toString', 'a[b]', '%00', '', 'x'.repeat(65), 'ü'];

/** JSON, nearly JSON and nothing of the kind; a number of these only a text can hold. */
const ODD_JSON = [
  ...['', ' ', '{', '[]', '[{}]', 'null', 'true', '7', '"x"', '1e999', '{"a":1,"a":2}', '\ufeff{}', 'NaN'],
  ...['{"__proto__":{"admin":true}}', '{"constructor":{"prototype":{"admin":true}}}', '{"toString":1}'],
  ...['['.repeat(30_000), '['.repeat(20) + ']'.repeat(20), '{"a":'.repeat(5_000) + '1' + '}'.repeat(5_000)],
  ...[`{"a":"${'x'.repeat(70_000)}"}`, `[${'0,'.repeat(9_000)}0]`, 'a=1&b=2', '<a/>'],
];

const ODD_VALUES: readonly unknown[] = [
  ...OF_ANY_TYPE,
  ...[null, 'a\0b', '\ud800', '\u202e', '__proto__', '9'.repeat(400), '../../etc/passwd', 'null'],
  ...[
    0,
    -0,
    1e308,
    2 ** 31,
    2 ** 53,
    Number.MIN_VALUE,
    [null],
    Array(200).fill('x'),
    { length: 1e9 },
    { $ref: '#' },
  ],
];

const TYPES = [
  ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'x', ''],
  ...[
    'application/json; charset=utf-16',
    'application/json;',
    'application/merge-patch+json',
    'a/b'.repeat(300),
  ],
];

const ACCEPTED = [
  '*/*',
  'application/json',
  'text/html',
  'text/html;q=0.1, application/json',
  'x',
  ';;,',
  '',
];

export const REQUEST_IDS = ['a-B_3.', 'x'.repeat(64), 'x'.repeat(65), 'a b', 'ü', '', '../..', '{"a":1}'];

/** Any text, however odd; encoded, so that it can stand in an address. */
const anyText: Arbitrary<string> = fc.string({ unit: 'binary', maxLength: 80 }).map(encodeURIComponent);

const oddText = fc.oneof(fc.constantFrom(...ODD_TEXTS), anyText);

const seldom = <T>(usual: Arbitrary<T>, odd: Arbitrary<T>, weight = 4): Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: odd });

/** Requests for any operation, most of them right in most parts. */
export function oddRequests(
  api: DescribedApi,
  known: () => Known,
  credentials: readonly (() => string | undefined)[],
): Arbitrary<() => OddRequest> {
  return fc.constantFrom(...api.operations).chain((operation) =>
    fc
      .record({
        path: addressFor(api, operation),
        method: seldom(fc.constant(operation.method), fc.constantFrom('PATCH', 'OPTIONS', 'PUT'), 40),
        credential: fc.constantFrom(...credentials),
        headers: headersFor(operation),
        body: bodyFor(api, operation),
      })
      .map(({ path, method, credential, headers, body }) => () => {
        const authorization = credential();
        const all = { ...headers, ...(authorization === undefined ? {} : { authorization }) };
        return { operation, method, path: path(known()), headers: all, body };
      }),
  );
}

/** A request in which all is right: what is required and no more. */
export function rightRequest(
  api: DescribedApi,
  operation: Described,
  known: Known,
  credential: string,
): OddRequest {
  const { method, parameters, requestBody } = operation;
  const valueFor = ({ name, schema }: Described['parameters'][number]): string =>
    known[name]?.[0] ?? encodeURIComponent(String(valueOf(api, schema)));
  const inPath = parameters.filter((it) => it.in === 'path');
  const path = inPath.reduce((so, it) => so.replace(`{${it.name}}`, () => valueFor(it)), operation.path);
  const asked = parameters.filter((it) => it.in === 'query' && it.required);
  const query = asked.map((it) => `${it.name}=${valueFor(it)}`).join('&');
  const schema = requestBody?.content['application/json']?.schema;
  const body = schema && JSON.stringify(valueOf(api, shapesOf(schema)[0] ?? {}));
  const headers = { authorization: credential, ...(schema ? { 'content-type': 'application/json' } : {}) };
  return { operation, method, path: `${path}${query && '?'}${query}`, headers, body };
}

const shapesOf = (schema: Json): Json[] => (schema['anyOf'] ?? [schema]) as Json[];

/** What is known is looked up as late as the request is sent: requests before it may have changed that. */
function addressFor(api: DescribedApi, { path, parameters }: Described): Arbitrary<(known: Known) => string> {
  const drawn = parameters.map(({ name, schema, in: place, required }) => {
    const usual = fc.nat(20).map((n) => (known: Known) => {
      const there = known[name] ?? [encodeURIComponent(String(valueOf(api, schema)))];
      return there[n % there.length] ?? '';
    });
    const odd = oddText.map((text) => () => text);
    const value = seldom(usual, odd, place === 'path' ? 8 : 6);
    const times =
      place === 'path' || required ? seldom(fc.constant(1), fc.constantFrom(1, 0, 2), 9) : fc.nat(2);
    return fc.record({ name: fc.constant(name), place: fc.constant(place), value, times });
  });
  const surplus = seldom(
    fc.constant(''),
    fc.tuple(fc.constantFrom(...ODD_NAMES), oddText).map((it) => it.join('=')),
    12,
  );
  return fc.tuple(fc.tuple(...drawn), surplus).map(([parts, more]) => (known) => {
    const asked = parts
      .filter(({ place }) => place === 'query')
      .flatMap(({ name, value, times }) =>
        Array<string>(times === 2 ? 2 : times).fill(`${name}=${value(known)}`),
      );
    const query = [...asked, more].filter((it) => it !== '').join('&');
    const filled = parts
      .filter(({ place }) => place === 'path')
      .reduce((so, { name, value }) => so.replace(`{${name}}`, () => value(known)), path);
    // What Node itself would not send.
    return `${filled}${query && '?'}${query}`.replace(/[^\x21-\x7e]/g, encodeURIComponent);
  });
}

function headersFor({ requestBody }: Described): Arbitrary<Record<string, string>> {
  const type = seldom(fc.constant('application/json'), fc.constantFrom(...TYPES), 12);
  const optional = { 'x-request-id': fc.constantFrom(...REQUEST_IDS), accept: fc.constantFrom(...ACCEPTED) };
  const more = { ...optional, cookie: fc.constantFrom('a=b', '=;;=', 'x'.repeat(4_000)) };
  return requestBody
    ? fc.record({ 'content-type': type, ...more }, { requiredKeys: ['content-type'] })
    : fc.record({ 'content-type': type, ...more }, { requiredKeys: [] });
}

function bodyFor(api: DescribedApi, { requestBody }: Described): Arbitrary<string | undefined> {
  const odd = fc.oneof(fc.constantFrom(...ODD_JSON), fc.json(), fc.string({ unit: 'binary' }));
  const schema = requestBody?.content['application/json']?.schema;
  if (!schema) return seldom(fc.constant(undefined), odd, 8);
  const shapes = shapesOf(schema);
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...shapes).map((it) => JSON.stringify(valueOf(api, it))) },
    { weight: 6, arbitrary: fc.oneof(...shapes.map((it) => objectFor(api, api.resolve(it)[1]))) },
    { weight: 2, arbitrary: odd },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
}

/** An object of this schema, of which any field may be missing or odd, and which may have one too many. */
function objectFor(api: DescribedApi, { properties = {}, required = [] }: Json): Arbitrary<string> {
  const odd = fc.oneof(fc.constantFrom(...ODD_VALUES), fc.jsonValue());
  const fields = Object.entries(properties as Record<string, Json>).map(([name, schema]) => {
    const isNeeded = (required as string[]).includes(name);
    const there = fc.record({
      name: fc.constant(name),
      value: seldom(fc.constant(valueOf(api, schema)), odd, 9),
    });
    return isNeeded ? seldom(there, fc.constant(null), 20) : seldom(there, fc.constant(null), 1);
  });
  const surplus = fc.record({ name: fc.constantFrom('surplus', 'constructor', 'a b'), value: odd });
  return fc.tuple(...fields, seldom(fc.constant(null), surplus, 15)).map((drawn) => {
    const there = drawn.filter((it) => it !== null);
    return JSON.stringify(Object.fromEntries(there.map(({ name, value }) => [name, value])));
  });
}

/** Sends a request as it stands: fetch would tidy it up. Fails where no answer is whole in time. */
export function sendAsItStands(
  origin: string,
  { method, path, headers, body }: OddRequest,
  mostMs: number,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(origin);
    // Node would send a body in chunks.
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const sent = request(
      { hostname, port, path, method, headers: { ...headers, ...length }, agent: false },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('error', reject);
        response.on('end', () => {
          clearTimeout(patience);
          const found = new Headers(
            Object.entries(response.headersDistinct).flatMap(([name, all]) =>
              (all ?? []).map((it): [string, string] => [name, it]),
            ),
          );
          const isJson = text !== '' && /json/.test(found.get('content-type') ?? '');
          resolve({
            status: response.statusCode ?? 0,
            headers: found,
            text,
            body: isJson ? (JSON.parse(text) as Json) : {},
          });
        });
      },
    );
    const patience = setTimeout(() => sent.destroy(new Error(`no answer within ${mostMs} ms`)), mostMs);
    sent.on('error', (error) => {
      clearTimeout(patience);
      reject(error);
    });
    sent.end(body);
  });
}
