import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Readiness } from '../../src/health/readiness.js';
import { Browser } from '../support/browser.js';
import { useConsents, useProvidersFiles } from '../support/consents.js';
import { describedPages } from '../support/described-pages.js';
import { DescribedApi, type Described } from '../support/described-api.js';
import { keySuccesses } from '../support/keys.js';
import { ask, eventually, type Answer } from '../support/http.js';
import { Seller } from '../support/seller.js';
import { beginSession, openSession } from '../support/sessions.js';
import { hint, signature } from '../support/uninstalls.js';
import { aWebhookSecret, webhooksFile } from '../support/webhook-receiver.js';
import { ADMIN_KEY, API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const consents = useConsents(world);
const writeProviders = useProvidersFiles();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
const webhooks = join(folder, 'webhooks.yaml');
let broker: LocalBroker;
/** One whose extension may be installed without a browser. */
let other: LocalBroker;
let api: DescribedApi;

beforeAll(async () => {
  writeFileSync(
    webhooks,
    webhooksFile({ name: 'ops', url: 'http://127.0.0.1:1/events', secret: aWebhookSecret() }),
  );
  broker = await world.local({ FYND_ACCESS_MODE: 'both', WEBHOOKS_FILE: webhooks });
  other = await world.local({
    PROVIDERS_FILE: writeProviders({
      fynd: {
        kind: 'fynd-platform',
        base_url: '${FYND_BASE_URL}',
        api_key: '${FYND_API_KEY}',
        api_secret: '${FYND_API_SECRET}',
        scopes: ['company/products'],
        auto_install: true,
      },
    }),
  });
  api = await DescribedApi.of(broker);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
  world.api(broker, method, `/v1${path}`, body);
const look = (path: string): Promise<Answer> => ask('GET', `${broker.api}${path}`);
const pages = describedPages(() => broker.api);
const token = '/tokens/konnect/companies';
const report = { version: 1, status: 401 };

/** A company with a credential of Konnect, its location 7 with another; the path of its connection. */
async function kept(): Promise<string> {
  await world.keepKonnect(broker, '42/locations/7');
  const { body } = await world.keepKonnect(broker, '42');
  return `/connections/${String(body['id'])}`;
}

async function inSession(path = ''): Promise<string> {
  const { id } = await beginSession(world, broker, { companyId: '42' });
  return `/tokens/fynd/sessions/${id}${path}?company_id=42`;
}

const CLIENT = { name: 'orders', permissions: [{ action: 'token:read', resource: 'konnect/companies/42' }] };

async function aClient(): Promise<string> {
  return `/clients/${String((await call('POST', '/clients', CLIENT)).body['id'])}`;
}

/** A way to every success that is described. An operation without one fails the suite. */
const SUCCESSES: Record<string, () => Promise<Answer>> = {
  tokenOfCompany: async () => (await kept(), call('GET', `${token}/42`)),
  tokenOfLocation: async () => (await kept(), call('GET', `${token}/42/locations/7`)),
  tokenReport: async () => (await kept(), call('POST', `${token}/42/report`, report)),
  tokenReportOfLocation: async () => (await kept(), call('POST', `${token}/42/locations/7/report`, report)),
  connectionList: async () => (await kept(), call('GET', '/connections?limit=1')),
  connectionFind: async () => call('GET', await kept()),
  connectionRevoke: async () => call('DELETE', await kept()),
  connectionPause: async () => call('POST', `${await kept()}/pause`),
  connectionResume: async () => call('POST', `${await kept()}/resume`),
  connectionRenew: async () => call('POST', `${await kept()}/renew`),
  connectionKeep: () => world.keepKonnect(broker, '42'),
  connectionKeepOfLocation: async () => (await kept(), world.keepKonnect(broker, '42/locations/7')),
  clientCreate: () => call('POST', '/clients', CLIENT),
  clientList: () => call('GET', '/clients?limit=1'),
  clientRotate: async () => call('POST', `${await aClient()}/rotate`, { overlap: 0 }),
  clientDelete: async () => call('DELETE', await aClient()),
  ...keySuccesses(world, () => broker),
  auditFind: () => call('GET', '/audit-events?limit=3'),
  auditExposure: async () => (
    await kept(),
    await call('GET', `${token}/42`),
    call('GET', '/audit-events/exposure?actor=admin')
  ),
  authorizeLinkCreate: () => consents.ask(broker, 'connect', {}),
  providerList: async () => (await kept(), call('GET', '/providers')),
  providerPause: () => call('POST', '/providers/konnect/pause'),
  providerResume: () => call('POST', '/providers/konnect/resume'),
  providerRevive: () => call('POST', '/providers/konnect/revive', { since: '2026-01-01T00:00:00Z' }),
  providerProbe: async () => (await kept(), call('POST', '/providers/konnect/probe')),
  webhookList: () => call('GET', '/webhooks'),
  webhookDeliveries: async () => (
    await kept(),
    eventually(async () => {
      const told = await call('GET', '/webhooks/ops/deliveries?limit=1');
      return (told.body['items'] as unknown[]).length > 0 && told;
    })
  ),
  webhookResume: () => call('POST', '/webhooks/ops/resume'),
  webhookResend: () => call('POST', '/webhooks/ops/resend', {}),
  sessionTrade: async () => {
    const { ticket } = await openSession(world, broker, { companyId: '42' });
    return call('POST', '/sessions', { ticket });
  },
  sessionRevoke: async () => {
    const { id } = await beginSession(world, broker, { companyId: '42' });
    return call('DELETE', `/sessions/${id}`);
  },
  sessionTokenFetch: async () => call('GET', await inSession()),
  sessionTokenReport: async () => call('POST', await inSession('/report'), { version: 2, status: 401 }),
  fyndPlatformInstall: () => ask('GET', `${broker.public}/fp/install?company_id=42&client_id=${API_KEY}`),
  fyndPlatformCallback: async () => {
    const seller = await Seller.of(world, 'user-1');
    return seller.browser.visit((await seller.agree(broker, '42')).href);
  },
  fyndSignalUninstall: () => hint(broker, { company_id: 42 }),
  fyndSignalAutoInstall: async () => {
    const { code } = (await world.simulator.autoInstall('42')).body;
    const text = JSON.stringify({ company_id: '42', code });
    return ask('POST', `${other.public}/fp/auto_install`, { 'x-fp-signature': signature(text) }, text);
  },
  oAuth2Authorize: async () => new Browser().visit(await consents.link(broker, 'connect')),
  oAuth2Callback: () => consents.connect(broker, 'connect'),
  healthLive: () => look('/health/live'),
  healthReady: () => look('/health/ready'),
  healthStartup: () => look('/health/startup'),
  metricsExpose: () => look('/metrics'),
  overviewShow: () => call('GET', '/overview'),
  ...pages.successes,
};

/** The errors of what has no key and no parameters. What is not here fails only where the broker itself is broken. */
const ERRORS: Record<string, () => Promise<Answer>> = {
  fyndSignalUninstall: () =>
    ask('POST', `${broker.public}/fp/uninstall`, { 'content-type': 'text/plain' }, 'x'),
  fyndSignalAutoInstall: () => ask('POST', `${other.public}/fp/auto_install`, {}, '{}'),
  ...pages.errors,
  healthReady: async () => {
    const stopping = await world.local();
    stopping.broker.app.get(Readiness).beginToStop();
    return ask('GET', `${stopping.api}/health/ready`);
  },
};

/** A request for an operation whose ids are those of nothing. */
function send(
  { method, path, requestBody }: Described,
  query: string,
  headers: Record<string, string>,
): Promise<Answer> {
  const ids = path
    .replace(/\{(connection|client)_id\}/, '00000000-0000-4000-8000-000000000000')
    .replace(/\{\w+\}/g, 'x');
  const at = /^\/(fp|oauth)\//.test(path) ? broker.public : broker.api;
  const body = requestBody?.content['application/json']?.example;
  return ask(method, `${at}${ids}${query}`, headers, body);
}

describe('the description of the API', () => {
  it('is OpenAPI 3.1', async () => {
    expect(api.document['openapi']).toBe('3.1.0');
    expect(await new Validator().validate(structuredClone(api.document))).toEqual({ valid: true });
  });

  it('says the truth about what is answered when all is well', async () => {
    expect(Object.keys(SUCCESSES).sort()).toEqual(
      api.operations.map(({ operationId }) => operationId).sort(),
    );
    for (const [operationId, succeed] of Object.entries(SUCCESSES)) {
      await world.sql('truncate connections, provider_states, online_sessions');
      const answer = await succeed();
      const lies = api.liesAbout(operationId, answer);
      expect([operationId, answer.status < 400, lies]).toEqual([operationId, true, []]);
    }
  });

  it('says the truth about errors: no key, what is malformed, what is not there', async () => {
    const json = { accept: 'application/json' };
    const KEY = { authorization: `Bearer ${ADMIN_KEY}` };
    const seen: Record<string, number[]> = {};
    const hold = async (operationId: string, answer: Promise<Answer>): Promise<void> => {
      const { status } = await answer;
      expect([operationId, status, api.liesAbout(operationId, await answer)]).toEqual([
        operationId,
        status,
        [],
      ]);
      if (status >= 400) (seen[operationId] ??= []).push(status);
    };
    for (const operation of api.operations) {
      const { operationId, security, 'x-listeners': listeners } = operation;
      if (security.length > 0) {
        await hold(operationId, send(operation, '', json));
        await hold(operationId, send(operation, '?what=1', KEY));
        await hold(
          operationId,
          send(operation, operation.path.includes('/sessions/') ? '?company_id=1' : '', KEY),
        );
      }
      if (listeners.includes('public') && operation.method === 'GET')
        await hold(operationId, send(operation, '', json));
      const other = ERRORS[operationId];
      if (other) await hold(operationId, other());
    }
    const never = api.operations.map(({ operationId }) => operationId).filter((it) => !seen[it]);
    expect(never).toEqual([
      ...['healthLive', 'healthStartup', 'metricsExpose'],
      ...['docsOpenapi', 'docsPage', 'docsStart', 'docsProgram', 'docsStyle'],
      ...['consolePage', 'consoleProgram', 'consoleStyle', 'consoleSessionShow'],
    ]);
    expect(seen['tokenOfCompany']).toEqual([401, 400, 404]);
  });

  it('has an example of every body and every JSON answer, which is what it says', () => {
    for (const { operationId, requestBody, responses } of api.operations) {
      const contents = [requestBody, ...Object.values(responses)].flatMap((it) =>
        Object.entries(it?.content ?? {}),
      );
      for (const [type, { schema, example }] of contents) {
        if (type !== 'application/json' || operationId === 'docsOpenapi') continue;
        expect([operationId, example === undefined, api.errorsOf(schema, example)]).toEqual([
          operationId,
          false,
          [],
        ]);
      }
    }
  });

  it('has an example of every problem', () => {
    const { examples } = api.document['components'] as { examples: Record<string, { value: object }> };
    const problem = api.schemas['Problem'] as { properties: { code: { enum: string[] } } };
    expect(Object.keys(examples)).toEqual(problem.properties.code.enum);
    for (const { value } of Object.values(examples))
      expect(api.errorsOf({ $ref: '#/components/schemas/Problem' }, value)).toEqual([]);
  });

  it('says what a caller must be permitted, and that nobody else needs a key', () => {
    for (const { path, security, 'x-permission': permission } of api.operations) {
      expect([path, security.length > 0, permission !== undefined]).toEqual([
        path,
        path.startsWith('/v1/'),
        path.startsWith('/v1/'),
      ]);
    }
  });
});

describe('the page of the description', () => {
  it('is made of our own files alone, and lets nothing else load or run', async () => {
    const { headers, text } = await look('/docs');
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/^default-src 'none';/);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const parts = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, part = '']) => part);
    const files = parts.filter((part) => !part.startsWith('data:'));
    expect(files).toEqual(['/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js', '/docs/start.js']);
    expect(text).not.toMatch(/<script>|<style>|\son\w+=|style=/);
    for (const file of files) {
      const part = await look(file);
      const type = file.endsWith('.css') ? 'text/css' : 'text/javascript';
      expect([file, part.status, part.headers.get('content-type')]).toEqual([
        file,
        200,
        `${type}; charset=utf-8`,
      ]);
    }
  });

  it('is for the internal listener alone, and needs no key there', async () => {
    for (const path of ['/docs', '/docs/start.js', '/openapi.json']) {
      expect([path, (await look(path)).status]).toEqual([path, 200]);
      expect([path, (await ask('GET', `${broker.public}${path}`)).status]).toEqual([path, 404]);
    }
  });

  it('is made once, when somebody asks for it first', async () => {
    const [one, other] = await Promise.all([look('/openapi.json'), look('/openapi.json')]);
    expect(one.text).toBe(other.text);
    expect(one.text).not.toContain('test-secret');
  });
});
