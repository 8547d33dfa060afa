import { beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module, RequestMethod, type DynamicModule } from '@nestjs/common';
import { NestFactory, ModulesContainer } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from '../../src/app.module.js';
import { notesOfHandler, Public } from '../../src/http/access.js';
import { guardRequests } from '../../src/broker.js';
import { Environment } from '../../src/config/environment.js';
import { readSettings } from '../../src/config/settings.js';
import { createAdapter } from '../../src/http/adapter.js';
import { ask } from '../support/http.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

type Route = readonly [method: string, path: string, rule: string];

/** What is told about a route: what a caller must be permitted, or that anybody may, or that nobody has thought of it. */
function ruleOf(handler: object): string {
  const { requires, requiresOnFound, isPublicSince } = notesOfHandler(handler);
  const rules = [
    ...(requires ? [requires.join(' and ')] : []),
    ...(requiresOnFound ? [`${requiresOnFound} on what is found`] : []),
    ...(isPublicSince ? ['public'] : []),
  ];
  return rules.length === 1 ? (rules[0] ?? '') : 'NO RULE';
}

const asList = (value: unknown): string[] =>
  [value].flat().map((path) => (typeof path === 'string' ? path : ''));

/** Every route of every controller that the application holds, as Nest's own metadata has it. */
function routesOf(modules: ModulesContainer): Route[] {
  const controllers = [...modules.values()].flatMap((module) => [...module.controllers.values()]);
  return controllers.flatMap(({ metatype }) => {
    if (typeof metatype !== 'function') return [];
    const prototype = metatype.prototype as Record<string, object>;
    const names = Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor');
    return names.flatMap((name) => {
      const handler = prototype[name];
      const method: unknown = handler && Reflect.getMetadata('method', handler);
      if (!handler || typeof method !== 'number') return [];
      const paths = asList(Reflect.getMetadata('path', metatype)).flatMap((prefix) =>
        asList(Reflect.getMetadata('path', handler)).map((path) => `/${prefix}/${path}`),
      );
      return paths.map((path): Route => [
        RequestMethod[method] ?? '?',
        path.replace(/\/{2,}/g, '/').replace(/(.)\/$/, '$1'),
        ruleOf(handler),
      ]);
    });
  });
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly 'x-permission'?: string;
  readonly responses: Readonly<Record<string, object>>;
}

const byPath = ([m1, p1]: Route, [m2, p2]: Route): number => (`${p1} ${m1}` < `${p2} ${m2}` ? -1 : 1);

const TOKENS = '/v1/tokens/:provider/companies/:companyId';
const SESSION_TOKEN = '/v1/tokens/:provider/sessions/:sessionId';
const CONNECTIONS = '/v1/connections/:provider/companies/:companyId';

/** All that the broker answers, and who may ask for it. A new route belongs here before it belongs anywhere. */
const EXPECTED: Route[] = [
  ['GET', '/console', 'public'],
  ['GET', '/console/console.css', 'public'],
  ['GET', '/console/console.js', 'public'],
  ['DELETE', '/console/session', 'public'],
  ['GET', '/console/session', 'public'],
  ['POST', '/console/session', 'public'],
  ['GET', '/docs', 'public'],
  ['GET', '/docs/start.js', 'public'],
  ['GET', '/docs/swagger-ui-bundle.js', 'public'],
  ['GET', '/docs/swagger-ui.css', 'public'],
  ['GET', '/fp/auth', 'public'],
  ['POST', '/fp/auto_install', 'public'],
  ['GET', '/fp/install', 'public'],
  ['POST', '/fp/uninstall', 'public'],
  ['GET', '/health/live', 'public'],
  ['GET', '/health/ready', 'public'],
  ['GET', '/health/startup', 'public'],
  ['GET', '/metrics', 'public'],
  ['GET', '/oauth/:provider/authorize', 'public'],
  ['GET', '/oauth/:provider/callback', 'public'],
  ['GET', '/openapi.json', 'public'],
  ['GET', '/v1/audit-events', 'audit:read'],
  ['GET', '/v1/audit-events/exposure', 'audit:read'],
  ['GET', '/v1/clients', 'client:admin'],
  ['POST', '/v1/clients', 'client:admin'],
  ['DELETE', '/v1/clients/:clientId', 'client:admin'],
  ['POST', '/v1/clients/:clientId/rotate', 'client:admin'],
  ['GET', '/v1/connections', 'connection:read on what is found'],
  ['GET', '/v1/connections/:connectionId', 'connection:read on what is found'],
  ['DELETE', '/v1/connections/:connectionId', 'connection:write on what is found'],
  ['POST', '/v1/connections/:connectionId/renew', 'connection:renew on what is found'],
  ['POST', '/v1/connections/:connectionId/pause', 'connection:write on what is found'],
  ['POST', '/v1/connections/:connectionId/resume', 'connection:write on what is found'],
  ['POST', `${CONNECTIONS}/authorize-link`, 'connection:write'],
  ['PUT', CONNECTIONS, 'connection:write'],
  ['PUT', `${CONNECTIONS}/locations/:locationId`, 'connection:write'],
  ['POST', '/v1/sessions', 'token:read-session on what is found'],
  ['DELETE', '/v1/sessions/:sessionId', 'token:read-session on what is found'],
  ['GET', SESSION_TOKEN, 'token:read-session'],
  ['POST', `${SESSION_TOKEN}/report`, 'token:report and token:read-session'],
  ['GET', '/v1/keys', 'key:admin'],
  ['POST', '/v1/keys/rotate', 'key:admin'],
  ['POST', '/v1/keys/rewrap', 'key:admin'],
  ['DELETE', '/v1/keys/:keyId', 'key:admin'],
  ['GET', '/v1/overview', 'connection:read'],
  ['GET', '/v1/providers', 'provider:admin'],
  ['POST', '/v1/providers/:name/pause', 'provider:admin'],
  ['POST', '/v1/providers/:name/probe', 'provider:admin'],
  ['POST', '/v1/providers/:name/resume', 'provider:admin'],
  ['POST', '/v1/providers/:name/revive', 'provider:admin'],
  ['GET', TOKENS, 'token:read'],
  ['GET', `${TOKENS}/locations/:locationId`, 'token:read'],
  ['POST', `${TOKENS}/report`, 'token:report'],
  ['POST', `${TOKENS}/locations/:locationId/report`, 'token:report'],
  ['GET', '/v1/webhooks', 'provider:admin'],
  ['GET', '/v1/webhooks/:receiver/deliveries', 'provider:admin'],
  ['POST', '/v1/webhooks/:receiver/resend', 'provider:admin'],
  ['POST', '/v1/webhooks/:receiver/resume', 'provider:admin'],
];

@Controller('v1/forgotten')
class ForgetfulController {
  @Get('rule')
  withoutRule(): string {
    return 'this must never be read';
  }

  @Get('public')
  @Public('to show that only the other one is refused')
  withRule(): string {
    return 'this may';
  }
}

@Module({ controllers: [ForgetfulController] })
class ForgetfulModule {}

describe('the routes', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });

  it('are these, each with a rule', () => {
    const routes = routesOf(broker.broker.app.get(ModulesContainer));
    expect([...routes].sort(byPath)).toEqual([...EXPECTED].sort(byPath));
    expect(routes.filter(([, , rule]) => rule === 'NO RULE')).toEqual([]);
  });

  it('are all that the HTTP server answers', () => {
    const fastify = broker.broker.app.getHttpAdapter().getInstance();
    for (const [method, url] of EXPECTED)
      expect([url, fastify.hasRoute({ method, url })]).toEqual([url, true]);
    const printed = fastify
      .printRoutes({ commonPrefix: false, includeHooks: false })
      .match(/\((?:[A-Z, ]+)\)/g);
    const verbs = (printed ?? []).flatMap((list) => list.slice(1, -1).split(', '));
    // Beside each GET stands a HEAD, which Fastify adds.
    const gets = EXPECTED.filter(([method]) => method === 'GET').length;
    expect(verbs).toHaveLength(EXPECTED.length + gets);
  });

  it('are all described: what each is for, what it answers, and what it takes', async () => {
    const { body } = await ask('GET', `${broker.api}/openapi.json`);
    const described = Object.entries(body['paths'] as Record<string, Record<string, Operation>>).flatMap(
      ([path, operations]) =>
        Object.entries(operations).map(([method, operation]) => ({ method, path, ...operation })),
    );
    const asTold = ([method, path, rule]: Route): Route => [
      method,
      path.replace(
        /:(\w+)/g,
        (_, name: string) => `{${name.replace(/[A-Z]/g, (it) => `_${it.toLowerCase()}`)}}`,
      ),
      rule.replace(/ on what is found$/, ''),
    ];
    expect(
      described
        .map((it): Route => [it.method.toUpperCase(), it.path, it['x-permission'] ?? 'public'])
        .sort(byPath),
    ).toEqual(EXPECTED.map(asTold).sort(byPath));
    const isSuccess = (status: string): boolean => /^[23]/.test(status);
    const lacking = described.filter(
      ({ summary, responses }) => summary === '' || !Object.keys(responses).some(isSuccess),
    );
    expect(lacking.map(({ operationId }) => operationId)).toEqual([]);
    expect(new Set(described.map(({ operationId }) => operationId)).size).toBe(described.length);
  });

  it('under /v1 are answered to nobody without a key, and on the public port to nobody at all', async () => {
    for (const [method, path] of EXPECTED) {
      const url = path.replace(/:\w+/g, '1');
      const inside = await ask(method, `${broker.api}${url}`);
      const outside = await ask(method, `${broker.public}${url}`);
      const isBrowsers = /^\/(fp|oauth)\//.test(url);
      const signsIn = method === 'POST' && url === '/console/session';
      expect([url, inside.status === 401]).toEqual([url, url.startsWith('/v1/') || signsIn]);
      expect([url, inside.status === 404]).toEqual([url, isBrowsers]);
      // Off unless an extension asks for it.
      const isOff = url === '/fp/auto_install';
      expect([url, outside.status === 404]).toEqual([url, !isBrowsers || isOff]);
    }
  });

  it('that do not exist are 404 on the public port, whatever they begin with', async () => {
    for (const path of [
      '/v1/nothing',
      '/v1/',
      '/v1',
      '/docs',
      '/console',
      '/console/session',
      '/',
      '/fp/nothing',
      '/%2e%2e/v1/connections',
    ]) {
      const { status, body } = await ask('GET', `${broker.public}${path}`);
      expect([path, status, body['code']]).toEqual([path, 404, 'not_found']);
    }
  });

  it('that nobody gave a rule are found, and refused even to the holder of every permission', async () => {
    const environment = new Environment(world.environment());
    const settings = readSettings(environment);
    const whole: DynamicModule = AppModule.with(settings, world.clock);
    const app = await NestFactory.create<NestFastifyApplication>(
      { ...whole, imports: [...(whole.imports ?? []), ForgetfulModule] },
      createAdapter([]),
      { bodyParser: false, logger: false },
    );
    guardRequests(app);
    await app.init();
    const found = routesOf(app.get(ModulesContainer)).filter(([, path]) => path.startsWith('/v1/forgotten'));
    expect(found).toEqual([
      ['GET', '/v1/forgotten/rule', 'NO RULE'],
      ['GET', '/v1/forgotten/public', 'public'],
    ]);
    const headers = { authorization: `Bearer ${ADMIN_KEY}` };
    const refused = await app.inject({ method: 'GET', url: '/v1/forgotten/rule', headers });
    expect([refused.statusCode, refused.json()]).toEqual([
      403,
      expect.objectContaining({ code: 'forbidden' }),
    ]);
    expect((await app.inject({ method: 'GET', url: '/v1/forgotten/public', headers })).body).toBe('this may');
    await app.close();
    environment.close();
  });
});
