import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Tracing } from '../../src/telemetry/tracing.js';
import { ask, eventually, type Answer } from '../support/http.js';
import { findLeaks } from '../support/leaks.js';
import { OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.js';
import { Relay } from '../support/relay.js';
import { ADMIN_KEY, API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const receiver = new OtlpReceiver();
const relay = new Relay(() => world.simulator.url);
let broker: LocalBroker;
let tracing: Record<string, string>;

beforeAll(async () => {
  await receiver.open();
  await relay.open();
  tracing = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `${receiver.url}/`,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=fynd,authorization=Basic%20test-secret-collector',
    KONNECT_BASE_URL: relay.url,
  };
  broker = await world.local(tracing);
  world.stopTicking(broker);
  await world.keepKonnect(broker, '42');
  await world.settle(broker);
});

beforeEach(() => relay.reset());

afterAll(() => {
  receiver.close();
  relay.close();
});

const COMPANY = '/v1/tokens/:provider/companies/:companyId';
const newTraceId = (): string => randomBytes(16).toString('hex');
/** As a caller sends it that records its own part. */
const parent = (traceId: string): string => `00-${traceId}-00f067aa0ba902b7-01`;

const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  ask('GET', `${broker.api}${path}`, { authorization: `Bearer ${ADMIN_KEY}`, ...headers });

const flush = (): Promise<void> =>
  broker.broker.app
    .get(Tracing)
    .flush()
    .catch(() => undefined);

/** The first span to arrive that is like this. */
const spanOf = (like: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan> =>
  eventually(async () => {
    await flush();
    return receiver.spans.find(like);
  });

describe('a request', () => {
  it('goes on with the trace of its caller, and hands it on to the provider', async () => {
    const traceId = newTraceId();
    await world.advance(3_700);
    const answer = await get('/v1/tokens/konnect/companies/42', {
      traceparent: parent(traceId),
      'x-request-id': 'traced-1',
    });
    expect(answer.status).toBe(200);
    const request = await spanOf(({ traceId: its, kind }) => its === traceId && kind === 'server');
    const renewal = await spanOf(({ traceId: its, name }) => its === traceId && name === 'renewal');
    const call = await spanOf(({ traceId: its, kind }) => its === traceId && kind === 'client');
    expect(request).toMatchObject({
      name: `GET ${COMPANY}`,
      parentId: '00f067aa0ba902b7',
      isError: false,
      service: 'token-broker',
      notes: {
        'http.request.method': 'GET',
        'http.route': COMPANY,
        'http.response.status_code': 200,
        'token_broker.request_id': 'traced-1',
        'token_broker.caller': 'admin',
      },
    });
    const id = String(answer.body['connection_id']);
    expect([renewal.parentId, renewal.kind]).toEqual([request.spanId, 'internal']);
    expect(renewal.notes).toEqual({
      'token_broker.provider': 'konnect',
      'token_broker.connection_id': id,
      'token_broker.version': 1,
      'token_broker.status': 'active',
    });
    expect([call.parentId, call.isError]).toEqual([renewal.spanId, false]);
    expect(call.notes).toMatchObject({ 'server.address': '127.0.0.1', 'http.response.status_code': 200 });
    expect(relay.heads.map(({ traceparent }) => traceparent)).toEqual([`00-${traceId}-${call.spanId}-01`]);
  });

  it('is a span, too, where it is answered from memory', async () => {
    await get('/v1/tokens/konnect/companies/42');
    const traceId = newTraceId();
    await get('/v1/tokens/konnect/companies/42', {
      traceparent: parent(traceId),
      'x-request-id': 'traced-2',
    });
    const span = await spanOf(({ traceId: its }) => its === traceId);
    expect(span).toMatchObject({
      name: `GET ${COMPANY}`,
      kind: 'server',
      parentId: '00f067aa0ba902b7',
      notes: { 'http.response.status_code': 200, 'token_broker.request_id': 'traced-2' },
    });
  });

  it('tells why it failed, and so does the call that made it fail', async () => {
    await world.keepKonnect(broker, '43');
    relay.stance = () => 503;
    const traceId = newTraceId();
    await world.advance(3_700);
    const answer = await get('/v1/tokens/konnect/companies/43', { traceparent: parent(traceId) });
    expect(answer.status).toBe(503);
    const request = await spanOf(({ traceId: its, kind }) => its === traceId && kind === 'server');
    expect([request.isError, request.notes['error.type']]).toEqual([true, 'provider_unavailable']);
    const renewal = await spanOf(({ traceId: its, name }) => its === traceId && name === 'renewal');
    expect([renewal.isError, renewal.notes['error.type']]).toEqual([true, 'not_renewed']);
  });

  it('from the Internet begins a trace of its own, whatever it says', async () => {
    const traceId = newTraceId();
    await ask('GET', `${broker.public}/fp/install?company_id=42&client_id=${API_KEY}`, {
      traceparent: parent(traceId),
      'x-request-id': 'traced-3',
    });
    const span = await spanOf(({ notes }) => notes['token_broker.request_id'] === 'traced-3');
    expect(span.parentId).toBeUndefined();
    expect(span.traceId).not.toBe(traceId);
  });
});

it('a renewal by the calendar is a trace of its own', async () => {
  const before = receiver.spans.length;
  await world.advance(7_500);
  await world.settle(broker);
  const renewals = await eventually(async () => {
    await flush();
    const found = receiver.spans.slice(before).filter(({ name }) => name === 'renewal');
    return found.length > 0 && found;
  });
  for (const { parentId } of renewals) expect(parentId).toBeUndefined();
  const [first] = renewals;
  const call = await spanOf(({ parentId }) => parentId === first?.spanId);
  expect([call.traceId, call.kind]).toEqual([first?.traceId, 'client']);
});

it('what is sent holds no secret, and goes where it should with the headers that it should have', async () => {
  await world.install(broker, '77');
  await spanOf(({ name }) => name === 'GET /fp/auth');
  const bodies = receiver.messages.map(({ body }) => body);
  expect(findLeaks(bodies)).toEqual([]);
  for (const word of ['password', 'username', 'code=', 'state=', ADMIN_KEY])
    expect(bodies.join()).not.toContain(word);
  for (const { line, headers } of receiver.messages) {
    expect([line, headers['x-tenant'], headers.authorization]).toEqual([
      'POST /v1/traces',
      'fynd',
      'Basic test-secret-collector',
    ]);
  }
});

it('a log line names the trace that it belongs to', async () => {
  const traceId = newTraceId();
  relay.stance = () => 404;
  await world.advance(7_500);
  await get('/v1/tokens/konnect/companies/42', { traceparent: parent(traceId) });
  const line =
    world.logs
      .join('')
      .split('\n')
      .find((it) => it.includes(traceId)) ?? '{}';
  expect(JSON.parse(line)).toMatchObject({ trace_id: traceId });
});

it('a receiver that is away keeps nobody waiting, and is told once', async () => {
  receiver.status = 500;
  const told = (): number => world.logs.join('').split('traces cannot be sent').length - 1;
  await eventually(async () => {
    expect((await get('/v1/tokens/portal/companies/1')).status).toBe(404);
    await flush();
    return told() === 1;
  });
  receiver.status = 200;
  await get('/v1/tokens/portal/companies/1', { 'x-request-id': 'traced-4' });
  await spanOf(({ notes }) => notes['token_broker.request_id'] === 'traced-4');
  expect(told()).toBe(1);
});

describe('a process', () => {
  const watched = { NODE_OPTIONS: `--import=${resolve('test/support/named-modules.mjs')}` };

  it('loads nothing of OpenTelemetry where nobody wants traces', async () => {
    const replica = await world.replica(watched);
    await ask('GET', `${replica.api}/v1/clients`, {
      authorization: `Bearer ${ADMIN_KEY}`,
    });
    await replica.stop();
    expect(replica.output).toContain('loaded typeorm: packed');
    // prom-client asks the interface alone, for its own ends.
    expect(replica.output).not.toMatch(/loaded @opentelemetry\/(?!api:)/);
  });

  it('sends at its stop what it still has, records what it is told to, and says whose it is', async () => {
    const replica = await world.replica({
      ...watched,
      ...tracing,
      OTEL_SERVICE_NAME: 'broker-7',
      OTEL_TRACES_SAMPLER_ARG: '0',
    });
    const send = (headers: Record<string, string>): Promise<Answer> =>
      ask('GET', `${replica.api}/v1/clients`, { authorization: `Bearer ${ADMIN_KEY}`, ...headers });
    const traceId = newTraceId();
    await send({ 'x-request-id': 'traced-5' });
    await send({ 'x-request-id': 'traced-6', traceparent: parent(traceId) });
    await replica.stop();
    expect(replica.output).toContain('loaded @opentelemetry/sdk-trace');
    const sent = receiver.spans.filter(({ service }) => service === 'broker-7');
    expect(sent.map(({ notes }) => notes['token_broker.request_id'])).toEqual(['traced-6']);
  });
});
