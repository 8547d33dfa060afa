import type { FastifyInstance } from 'fastify';
import { rememberUser } from './consent-page.js';
import { contradictionIn, type Fault, faultSchema, type FaultScript } from './faults.js';
import type { Stage } from './fault-player.js';
import type { LedgerFilter } from './ledger.js';
import type { SimulatedProvider } from './provider.js';

const text = { type: 'string' };
const ledgerQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    provider: text,
    operation: text,
    company_id: text,
    username: text,
    grant_id: text,
    limit: { type: 'string', pattern: '^[0-9]{1,6}$' },
  },
};

function one(property: string, schema: object): object {
  return {
    type: 'object',
    additionalProperties: false,
    required: [property],
    properties: { [property]: schema },
  };
}

function notFound(message: string): Error {
  return Object.assign(new Error(message), { statusCode: 404 });
}

function badRequest(message: string): Error {
  return Object.assign(new Error(message), { statusCode: 400 });
}

/** The routes under `/_simulator` by which tests script the providers and look at what they were asked. */
export function addControlRoutes(
  app: FastifyInstance,
  { held, ledger, clock, script }: Stage,
  providers: readonly SimulatedProvider[],
): void {
  app.get('/_simulator/health', () => ({ status: 'ok', now: new Date(clock.now()).toISOString() }));

  app.get<{ Querystring: LedgerFilter & { limit?: string } }>(
    '/_simulator/ledger',
    { schema: { querystring: ledgerQuery } },
    ({ query: { limit, ...filter } }) => {
      const { entries, counters, dropped } = ledger.read(
        filter,
        limit === undefined ? undefined : Number(limit),
      );
      return { entries, counters: { ...counters, held: held.count }, dropped };
    },
  );

  addSettingsRoutes(app, providers);
  addFaultRoutes(app, script, providers);

  app.post('/_simulator/release', () => ({ released: held.release() }));

  app.post<{ Body: { advance_s: number } }>(
    '/_simulator/clock',
    { schema: { body: one('advance_s', { type: 'number', minimum: 0 }) } },
    ({ body }) => {
      clock.advance(body.advance_s);
      return { now: new Date(clock.now()).toISOString() };
    },
  );

  app.post<{ Body: { token: string } }>(
    '/_simulator/introspect',
    { schema: { body: one('token', text) } },
    ({ body }) => {
      for (const provider of providers) {
        const state = provider.findToken(body.token);
        if (state !== null) return { provider: provider.name, ...state };
      }
      return { active: false };
    },
  );

  app.get<{ Params: { name: string } }>('/_simulator/user/:name', ({ params }, reply) =>
    reply.header('set-cookie', rememberUser(params.name)).send({ user: params.name }),
  );

  app.post('/_simulator/reset', () => {
    script.reset();
    held.abandon();
    clock.reset();
    for (const provider of providers) provider.reset();
    ledger.reset();
    return { status: 'ok' };
  });
}

function addSettingsRoutes(app: FastifyInstance, providers: readonly SimulatedProvider[]): void {
  for (const { name, settings } of providers) {
    const path = `/_simulator/settings/${name}`;
    app.get(path, () => settings.current);
    app.put<{ Body: Record<string, unknown> }>(path, { schema: { body: settings.schema } }, ({ body }) => {
      settings.change(body);
      return settings.current;
    });
  }
}

function addFaultRoutes(
  app: FastifyInstance,
  script: FaultScript,
  providers: readonly SimulatedProvider[],
): void {
  app.get('/_simulator/faults', () => ({
    items: script.list().map(({ id, fault, remaining }) => ({ id, remaining, ...fault })),
  }));

  app.post<{ Body: Fault }>('/_simulator/faults', { schema: { body: faultSchema } }, ({ body }, reply) => {
    const mistake = unknownTarget(body, providers) ?? contradictionIn(body);
    if (mistake !== null) throw badRequest(mistake);
    return reply.code(201).send({ id: script.add(body).id });
  });

  app.delete('/_simulator/faults', () => ({ cleared: script.clear() }));

  app.delete<{ Params: { id: string } }>('/_simulator/faults/:id', ({ params }) => {
    if (!script.remove(params.id)) throw notFound(`no fault ${params.id}`);
    return { cleared: 1 };
  });
}

function unknownTarget(fault: Fault, providers: readonly SimulatedProvider[]): string | null {
  const provider = providers.find(({ name }) => name === fault.provider);
  if (provider === undefined)
    return `provider must be one of ${providers.map(({ name }) => name).join(', ')}`;
  if (fault.operation !== undefined && !provider.operations.includes(fault.operation)) {
    return `operation must be one of ${provider.operations.join(', ')} for ${provider.name}`;
  }
  return null;
}
