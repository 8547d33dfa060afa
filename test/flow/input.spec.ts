import { beforeAll, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { useProvidersFiles } from '../support/consents.js';
import { DescribedApi, type Described } from '../support/described-api.js';
import { OF_ANY_TYPE, pathOf, unboundedIn, valueOf, valuesBeyond } from '../support/described-input.js';
import { ask, type Answer, type Json } from '../support/http.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const writeProviders = useProvidersFiles();
let broker: LocalBroker;
let api: DescribedApi;

beforeAll(async () => {
  const oauth2 = { kind: 'oauth2', client_id: 'x', token_url: `${world.simulator.url}/t` };
  broker = await world.local({
    PROVIDERS_FILE: writeProviders({
      konnect: { kind: 'konnect', base_url: world.simulator.url },
      connect: {
        ...oauth2,
        client_secret: '${CONNECT_CLIENT_SECRET}',
        authorize_url: `${world.simulator.url}/a`,
      },
      portal: { kind: 'portal' },
      machine: {
        ...oauth2,
        client_id: 'y',
        client_secret: '${CONNECT_CLIENT_SECRET}',
        grant: 'client_credentials',
      },
    }),
  });
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
  api = await DescribedApi.of(broker);
});

const KEY = { authorization: `Bearer ${ADMIN_KEY}` };
/** Of several kinds of body the provider says which is read. */
const PROVIDERS: Record<string, string> = {
  KonnectCredentialShape: 'konnect',
  ImportShape: 'connect',
  PortalTokenShape: 'portal',
  NothingShape: 'machine',
};

/** One kind of body of one route. */
interface Taken {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly schema: Json;
  /** What would be taken. */
  readonly good: Json;
}

const isOfApi = ({ path }: Described): boolean => path.startsWith('/v1/');
const addressOf = (operation: Described, provider = 'connect'): string =>
  `${broker.api}${pathOf(operation, provider)}`;

function taken(): Taken[] {
  return api.operations.filter(isOfApi).flatMap((operation) => {
    const schema = operation.requestBody?.content['application/json']?.schema;
    if (!schema) return [];
    return ((schema['anyOf'] ?? [schema]) as Json[]).map((reference) => {
      const [shape, found] = api.resolve(reference);
      return {
        name: `${operation.operationId} ${shape}`,
        method: operation.method,
        url: addressOf(operation, PROVIDERS[shape]),
        schema: found,
        good: valueOf(api, found) as Json,
      };
    });
  });
}

/** What is wrong, by field; of an answer that is no such refusal, what it is instead. */
function refusedIn({ status, body }: Answer): unknown {
  if (status !== 400) return [status, body['code']];
  const errors = body['errors'] as { field: string }[] | undefined;
  return errors && [...new Set(errors.map(({ field }) => field.replace(/\..*$/, '')))];
}

const send = ({ method, url }: Taken, body: unknown, headers = {}): Promise<Answer> =>
  ask(method, url, { ...KEY, ...headers }, body);

describe('a body', () => {
  it('has bounds on every field of every shape', () => {
    expect(taken().flatMap(({ name, schema }) => unboundedIn(api, schema, name))).toEqual([]);
    expect(taken().length).toBeGreaterThanOrEqual(12);
  });

  it('is refused for a field of the wrong type, too long, too large or too many, and the field is named', async () => {
    for (const each of taken()) {
      const properties = (each.schema['properties'] ?? {}) as Record<string, Json>;
      for (const [name, schema] of Object.entries(properties)) {
        const bad = [...OF_ANY_TYPE, ...valuesBeyond(api, schema)].filter(
          (value) => api.errorsOf(schema, value).length > 0,
        );
        expect([each.name, name, bad.length > 6]).toEqual([each.name, name, true]);
        for (const value of bad) {
          const answer = refusedIn(await send(each, { ...each.good, [name]: value }));
          const told = [each.name, name, JSON.stringify(value).slice(0, 40)];
          expect([...told, answer]).toEqual([...told, [name]]);
        }
      }
    }
  });

  it('is refused for a field that is missing, and the field is named', async () => {
    for (const each of taken()) {
      for (const name of (each.schema['required'] ?? []) as string[]) {
        const rest = Object.fromEntries(Object.entries(each.good).filter(([other]) => other !== name));
        expect([each.name, refusedIn(await send(each, rest))]).toEqual([each.name, [name]]);
      }
    }
  });

  it('is refused for a field that nobody knows, and the field is named unless its name is odd', async () => {
    for (const each of taken()) {
      const told = async (more: string): Promise<unknown> => {
        const good = JSON.stringify(each.good).slice(1, -1);
        return refusedIn(await send(each, `{${good}${good === '' ? '' : ','}${more}}`));
      };
      expect([each.name, await told('"surplus":1')]).toEqual([each.name, ['surplus']]);
      for (const odd of [
        '"constructor":{}',
        '"__proto__":{}',
        '"toString":1',
        '"a b":1',
        `"${'x'.repeat(65)}":1`,
      ]) {
        const answer = await told(odd);
        // What reaches for a prototype is refused before anybody knows of fields.
        expect([each.name, odd, answer]).toEqual([
          each.name,
          odd,
          odd.includes('__proto__') ? undefined : ['body'],
        ]);
      }
    }
  });

  it('is refused for what is odd to numbers, to depth and to prototypes below the surface', async () => {
    for (const each of taken()) {
      const [name = 'surplus'] = Object.keys(each.schema['properties'] ?? {});
      const rest = JSON.stringify({ ...each.good, [name]: undefined }).slice(1, -1);
      const told = async (value: string): Promise<unknown> =>
        refusedIn(await send(each, `{${rest}${rest === '' ? '' : ','}"${name}":${value}}`));
      for (const value of ['1e999', '-1e999', '1e308', '9007199254740993'])
        expect([each.name, value, await told(value)]).toEqual([each.name, value, [name]]);
      const deep = (levels: number, inner = '1'): string => '['.repeat(levels) + inner + ']'.repeat(levels);
      for (const value of [deep(20), deep(30_000), `${'{"a":'.repeat(8_000)}1${'}'.repeat(8_000)}`])
        expect([each.name, value.length, await told(value)]).toEqual([each.name, value.length, ['body']]);
      for (const value of ['{"constructor":{}}', '[{"toString":1}]'])
        expect([each.name, value, await told(value)]).toEqual([each.name, value, ['body']]);
    }
  });

  it('is refused where it is none, and no JSON', async () => {
    for (const each of taken()) {
      const isOptional = each.schema['required'] === undefined && !each.name.includes('Keep');
      const bodies = ['[]', '[{}]', '"x"', '7', 'true', 'null', ...(isOptional ? [] : [''])];
      for (const body of isOptional ? bodies.filter((it) => it !== 'null' && it !== '[]') : bodies) {
        const { status } = await send(each, body);
        expect([each.name, body, status]).toEqual([each.name, body, 400]);
      }
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml']) {
        const { status } = await send(each, JSON.stringify(each.good), { 'content-type': type });
        expect([each.name, type, status]).toEqual([each.name, type, 415]);
      }
    }
  });

  it('that is not there is not waited for, whatever its type', async () => {
    const nobody = `${broker.api}/v1/connections/00000000-0000-0000-0000-000000000000`;
    const headers = { ...KEY, 'content-type': 'application/json' };
    const { status } = await fetch(nobody, {
      method: 'DELETE',
      headers,
      signal: AbortSignal.timeout(15_000),
    });
    expect(status).toBe(404);
  });

  it('tells no more than twenty mistakes', async () => {
    const fields = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`f${n}`, 1]));
    for (const each of taken())
      expect([each.name, (refusedIn(await send(each, fields)) as string[]).length]).toEqual([each.name, 20]);
  });

  it('with fields is refused by a route that reads none, and an empty one is not', async () => {
    const unread = api.operations.filter((it) => isOfApi(it) && it.method !== 'GET' && !it.requestBody);
    expect(unread.length).toBeGreaterThanOrEqual(7);
    for (const operation of unread) {
      const { operationId, method } = operation;
      for (const body of [{ surplus: 1 }, [1], '7'])
        expect([operationId, refusedIn(await ask(method, addressOf(operation), KEY, body))]).toEqual([
          operationId,
          ['body'],
        ]);
      const { status } = await ask(method, addressOf(operation), KEY, {});
      expect([operationId, status === 400]).toEqual([operationId, false]);
    }
  });
});

describe('a query', () => {
  const withQuery = (operation: Described, more: string): string => {
    const url = addressOf(operation);
    return `${url}${url.includes('?') ? '&' : '?'}${more}`;
  };
  const told = async (operation: Described, more: string): Promise<unknown> =>
    refusedIn(
      await ask(operation.method, withQuery(operation, more), KEY, operation.requestBody ? {} : undefined),
    );

  it('is refused for a parameter that nobody knows, on every route', async () => {
    for (const operation of api.operations.filter(isOfApi)) {
      const { operationId } = operation;
      expect([operationId, await told(operation, 'surplus=1')]).toEqual([operationId, ['surplus']]);
      for (const odd of ['constructor=1', '__proto__=1', 'toString=1', 'a%20b=1', `${'x'.repeat(65)}=1`]) {
        const answer = await told(operation, odd);
        expect([operationId, odd, Array.isArray(answer) && answer.length === 1]).toEqual([
          operationId,
          odd,
          true,
        ]);
      }
    }
  });

  it('is refused for a parameter that is malformed, too long or given twice, and it is named', async () => {
    let looked = 0;
    // What one parameter makes no sense without.
    const companions: Record<string, string> = { resource: 'can=token:read&' };
    for (const operation of api.operations.filter(isOfApi)) {
      for (const { name, schema, in: place, required } of operation.parameters) {
        if (place !== 'query' || required) continue;
        looked += 1;
        const isNumber = schema['type'] === 'integer';
        const bad = [
          'x'.repeat(5_000),
          '%00',
          '%F0%9F%98%80',
          ...(isNumber ? ['1e1', '1.0', '-1', 'x', String(Number(schema['maximum']) + 1)] : []),
        ];
        const good = encodeURIComponent(String(valueOf(api, schema)));
        for (const value of [...bad, `${good}&${name}=${good}`, `${good}&${name}=`]) {
          const at = [operation.operationId, name, value.slice(0, 30)];
          expect([...at, await told(operation, `${companions[name] ?? ''}${name}=${value}`)]).toEqual([
            ...at,
            [name],
          ]);
        }
        for (const key of [`${name}[]`, `${name}[a]`]) {
          const answer = await told(operation, `${key}=1`);
          expect([name, key, Array.isArray(answer)]).toEqual([name, key, true]);
        }
      }
    }
    expect(looked).toBeGreaterThanOrEqual(14);
  });
});

describe('X-Request-Id', () => {
  it('is taken on every route where it is 1 to 64 of A-Z a-z 0-9 . _ -, and is one of ours where it is not', async () => {
    for (const operation of api.operations.filter(isOfApi)) {
      for (const [id, isTaken] of [
        ['a-B_3.', true],
        ['x'.repeat(64), true],
        ['x'.repeat(65), false],
        ['a b', false],
      ] as const) {
        const { headers } = await ask(operation.method, addressOf(operation), { 'x-request-id': id });
        const answered = headers.get('x-request-id') ?? '';
        expect([operation.operationId, id, answered === id]).toEqual([operation.operationId, id, isTaken]);
        expect(answered).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
      }
    }
  });
});
