import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { LookupFunction } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Call } from '../../src/provider/call.js';
import { selfSigned } from '../support/certificate.js';
import { answer, HostileServer, says } from '../support/hostile-server.js';
import { eventually } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';

const certificate = selfSigned('127.0.0.1');
const TIMEOUT_MS = 10_000;

/** What a process finds that was stopped while it connected: the connection is there, and its timer has not ended yet. */
describe.each([
  ['plain', new HostileServer()],
  ['over TLS', new HostileServer(certificate)],
])('a connection %s', (_how, server) => {
  const clock = new TestClock();
  const lookUps: (() => void)[] = [];

  beforeAll(async () => {
    await server.open();
    server.act = says(answer(200, '{}'));
  });
  afterAll(() => server.close());

  function send(call: Call): Promise<unknown> {
    // The certificate is for the address, which has to be found first.
    const lookup: LookupFunction = (_name, _options, found) =>
      void lookUps.push(() => found(null, [{ address: '127.0.0.1', family: 4 }]));
    const checkServerIdentity = (): undefined => undefined;
    const agents = {
      http: new HttpAgent({ lookup }),
      https: new HttpsAgent({ lookup, ca: certificate.cert, checkServerIdentity }),
    };
    const url = server.url.replace('127.0.0.1', 'provider.example');
    return call.send({
      method: 'POST',
      url,
      headers: {},
      body: 'test-secret',
      timeoutMs: TIMEOUT_MS,
      agents,
    });
  }

  it.each([
    ['in time is used', 9, 1],
    ['behind time is not, and nothing was sent', 11, 0],
  ])('that is there %s', async (_what, seconds, sent) => {
    server.requests.length = 0;
    const received = server.received;
    const call = new Call(clock, 1_024);
    const outcome = send(call).then(
      () => 'answered',
      (error: unknown) => call.explain(error),
    );
    await eventually(() => lookUps.length === 1);
    clock.advance(seconds);
    lookUps.pop()?.();
    expect(await outcome).toEqual(sent ? 'answered' : { code: 'timed_out', mayHaveActed: false });
    expect(server.requests).toHaveLength(sent);
    expect(server.received > received).toBe(sent > 0);
  });
});
