import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { useConsents } from '../support/consents.js';
import { DescribedApi } from '../support/described-api.js';
import type { Answer, Json } from '../support/http.js';
import { findLeaks, SECRET_MARKS, SERVICE_KEY } from '../support/leaks.js';
import {
  oddRequests,
  rightRequest,
  sendAsItStands,
  type Known,
  type OddRequest,
} from '../support/odd-requests.js';
import { beginSession } from '../support/sessions.js';
import { aWebhookSecret, webhooksFile } from '../support/webhook-receiver.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

/** How many requests; more for a long run. A failure tells the seed, with which the same requests are drawn. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 350);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_122);
const MOST_MS = 60_000 + RUNS * 50;
/** Longer than any caller waits, for a provider, 10 s at most: what is not answered then hangs. */
const PATIENCE_MS = 15_000;
/** After so many requests, what they have revoked, paused and deleted is made anew. */
const RENEWED_EVERY = 40;

const world = useWorld();
const consents = useConsents(world);
const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
let broker: LocalBroker;
let api: DescribedApi;
let known: Known = {};
let client = { id: '', key: '' };

beforeAll(async () => {
  // Nobody is there to be told, which is nothing to those who ask.
  const entry = { name: 'ops', url: 'http://127.0.0.1:1/events', secret: aWebhookSecret() };
  writeFileSync(join(folder, 'webhooks.yaml'), webhooksFile(entry));
  broker = await world.local({ FYND_ACCESS_MODE: 'both', WEBHOOKS_FILE: join(folder, 'webhooks.yaml') });
  // Nothing is renewed but what a request asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
  api = await DescribedApi.of(broker);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const b64 = (it: object): string => Buffer.from(JSON.stringify(it)).toString('base64url');
const JWT = `${b64({ alg: 'RS256', kid: 'x' })}.${b64({ iss: 'https://x.example', aud: 'token-broker', exp: 4e9 })}.c2ln`;
const UNKNOWN = `tbk_${'0'.repeat(16)}_${'A'.repeat(43)}`;

/** Who asks. The admin more often than others: its requests get furthest. */
const CREDENTIALS = [
  ...Array<() => string>(15).fill(() => `Bearer ${ADMIN_KEY}`),
  ...Array<() => string>(6).fill(() => `Bearer ${client.key}`),
  () => `Bearer ${UNKNOWN}`,
  () => `Bearer ${JWT}`,
  () => undefined,
  ...[
    '',
    'Bearer',
    'Bearer  ',
    'Basic dGVzdDp0ZXN0',
    `Bearer ${'x'.repeat(6_000)}`,
    'bearer ü',
    'Bearer a.b.c',
  ].map((it) => () => it),
];

/** Connections of every kind, a session and a client with few permissions. */
async function prepare(): Promise<void> {
  await world.sql('truncate connections, provider_states, online_sessions');
  await world.keepKonnect(broker, '42');
  await world.keepKonnect(broker, '42/locations/7');
  await consents.connect(broker, 'connect');
  await world.install(broker, '42');
  const { id } = await beginSession(world, broker, { companyId: '42' });
  client = await world.client(
    broker,
    'token:read konnect/companies/42',
    'connection:read konnect/companies/*',
  );
  const { body } = await world.api(broker, 'GET', '/v1/connections');
  const none = '00000000-0000-4000-8000-000000000000';
  known = {
    provider: ['konnect', 'connect', 'fynd', 'nobody'],
    name: ['konnect', 'connect', 'fynd', 'nobody'],
    company_id: ['42', '42', '43'],
    location_id: ['7', '8'],
    connection_id: [...(body['items'] as Json[]).map((it) => String(it['id'])), none],
    client_id: [client.id, none],
    session_id: [id, none],
    receiver: ['ops', 'nobody'],
  };
}

/** A report that is spent on an older token is answered with the newer one. */
const TOKEN_ROUTES = [
  ...['tokenOfCompany', 'tokenOfLocation', 'sessionTokenFetch'],
  ...['tokenReport', 'tokenReportOfLocation', 'sessionTokenReport'],
];
const KEY_ROUTES = ['clientCreate', 'clientRotate'];

/** The lines of an answer that tell a secret to somebody whose business it is not. */
function leaksOf({ operation: { operationId } }: OddRequest, { status, headers, text }: Answer): string[] {
  const isTold = (routes: readonly string[]): boolean => status < 300 && routes.includes(operationId);
  const leaks = findLeaks([text, ...[...headers].map((it) => it.join(': '))]);
  return leaks.filter((line) => {
    if (isTold(TOKEN_ROUTES)) return SERVICE_KEY.test(line);
    if (isTold(KEY_ROUTES)) return SECRET_MARKS.some((mark) => line.includes(mark));
    return true;
  });
}

/** Everything that is wrong with an answer, in words; nothing where all is well. */
function wrongWith(request: OddRequest, answer: Answer): string[] {
  const { operation, method, path, headers: asked } = request;
  const { status, headers, body } = answer;
  const wrong: string[] = leaksOf(request, answer).map((line) => `tells a secret: ${line}`);
  if (status >= 500) wrong.push(`is ${status}`);
  const id = headers.get('x-request-id') ?? '';
  const given = asked['x-request-id'] ?? '';
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(id)) wrong.push(`has the id ${id}`);
  if (/^[A-Za-z0-9._-]{1,64}$/.test(given) && id !== given) wrong.push(`has another id than ${given}`);
  const isApi = path.startsWith('/v1/');
  if (isApi && headers.get('cache-control') !== 'no-store') wrong.push('may be stored');
  const isProblem = (headers.get('content-type') ?? '').startsWith('application/problem+json');
  if (isApi && status >= 400 && !isProblem) wrong.push('is no problem');
  if (isProblem) {
    wrong.push(...api.errorsOf({ $ref: '#/components/schemas/Problem' }, body));
    if (body['status'] !== status || body['request_id'] !== id) wrong.push('contradicts its body');
  }
  // What the server refuses by itself is none of the operation's: a wrong method, an address that leads elsewhere.
  const isUnread = [413, 415].includes(status) && !operation.requestBody;
  const isElsewhere =
    method !== operation.method || body['code'] === 'not_found' || status === 414 || isUnread;
  return isElsewhere ? wrong : [...wrong, ...api.liesAbout(operation.operationId, answer)];
}

/** Sends a request, and fails where anything is wrong with its answer. */
async function ask(request: OddRequest): Promise<Answer> {
  world.clock.advance(2);
  const isPublic = request.operation['x-listeners'].includes('public');
  const answer = await sendAsItStands(isPublic ? broker.public : broker.api, request, PATIENCE_MS);
  const wrong = wrongWith(request, answer);
  const { operation, ...told } = request;
  const { status, text } = answer;
  if (wrong.length > 0)
    throw new Error(
      JSON.stringify({ wrong, operation: operation.operationId, ...told, status, text }, null, 1),
    );
  return answer;
}

/** What no description can know: a code, a ticket or a link that is there once, a page, what is switched off or twice the same. */
const NEED_MORE = [
  ...['connectionKeepOfLocation', 'sessionTrade', 'fyndSignalAutoInstall'],
  ...['fyndPlatformInstall', 'fyndPlatformCallback', 'oAuth2Authorize', 'oAuth2Callback'],
  ...['consoleSessionOpen', 'consoleSessionEnd'],
  // Of a key that was replaced minutes ago.
  'keyDestroy',
];

describe('requests as they are described', () => {
  it('succeed, and only those that make a key or hand out a token tell a secret', async () => {
    await prepare();
    const refused: string[] = [];
    // What was made and changed is read then, and taken away last.
    for (const methods of [['POST', 'PUT'], ['GET'], ['DELETE']]) {
      for (const operation of api.operations.filter(({ method }) => methods.includes(method))) {
        const isOfFynd = /^(session|authorize)/.test(operation.operationId);
        const there = isOfFynd ? { ...known, provider: ['fynd'] } : known;
        const { status } = await ask(rightRequest(api, operation, there, `Bearer ${ADMIN_KEY}`));
        if (status >= 300) refused.push(operation.operationId);
      }
    }
    expect(refused.sort()).toEqual(NEED_MORE.sort());
  });
});

describe('requests drawn at random from the description', () => {
  it(
    'are answered in time, as described, without a failure and without a secret',
    async () => {
      const seen: Record<string, number> = {};
      let sent = 0;
      await fc.assert(
        fc.asyncProperty(
          oddRequests(api, () => known, CREDENTIALS),
          async (draw) => {
            if (sent++ % RENEWED_EVERY === 0) await prepare();
            const { status } = await ask(draw());
            seen[status] = (seen[status] ?? 0) + 1;
            // While a provider is paused, who has to wait for it is rightly told 503.
            await world.sql('update provider_states set paused_at = null where paused_at is not null');
          },
        ),
        // Each request meets what those before it have left behind: a shorter story would be another.
        { numRuns: RUNS, seed: SEED, endOnFailure: true },
      );
      // Enough of them got past the first checks.
      expect((seen[200] ?? 0) / RUNS).toBeGreaterThan(0.1);
      expect(({} as Json)['admin']).toBeUndefined();
    },
    MOST_MS,
  );
});
