import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import axios, { AxiosError } from 'axios';
import { addTokens, type Subject, type TokenBroker } from '../../client/src/index.js';
import { freePort } from '../support/http.js';
import { refusal, WatchedClient } from '../support/watched-client.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const COMPANY = '/service/platform/configuration/v1.0/company';
let broker: LocalBroker;
const clients = new WatchedClient(world, () => broker);

beforeAll(async () => {
  broker = await world.local();
  world.stopTicking(broker);
});

interface Stranger {
  readonly url: string;
  stop(): void;
}

/** Somebody else's server. */
async function stranger(answer: RequestListener): Promise<Stranger> {
  const server = createServer(answer);
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${port}`, stop: () => void server.close() };
}

const WAYS = ['fetch', 'axios', 'axios over fetch'] as const;

/** A request with a token, in each of the ways that there are; `path` may be a whole address. */
async function send(
  way: (typeof WAYS)[number],
  tokens: TokenBroker,
  subject: Subject,
  path: string,
): Promise<number> {
  if (way === 'fetch') return (await tokens.fetch('fynd', subject, path)).status;
  const http = axios.create({ baseURL: world.simulator.url, adapter: way === 'axios' ? 'http' : 'fetch' });
  const remove = addTokens(http, tokens.source('fynd', subject));
  try {
    return (await http.get(path)).status;
  } catch (error) {
    if (error instanceof AxiosError && error.response) return error.response.status;
    throw error;
  } finally {
    remove();
  }
}

describe.each(WAYS)('a request by %s', (way) => {
  const heard: IncomingHttpHeaders[] = [];
  let elsewhere: Stranger;
  const company = `3${WAYS.indexOf(way)}`;
  const path = `${COMPANY}/${company}/application`;

  beforeAll(async () => {
    elsewhere = await stranger((request, response) => {
      heard.push(request.headers);
      response.end();
    });
  });
  afterAll(() => elsewhere?.stop());

  it('carries the token to the provider, with what the caller has put into it', async () => {
    const subject = await clients.install(company);
    expect(await send(way, clients.make(), subject, path)).toBe(200);
    expect(await send(way, clients.make(), subject, `${world.simulator.url}${path}`)).toBe(200);
  });

  it('is repeated once after a 401, with the token that a report of it brings', async () => {
    const subject = await clients.install(company);
    const tokens = clients.make();
    await tokens.token('fynd', subject);
    // The provider's token has ended, although nobody was told.
    await world.simulator.control('POST', 'clock', { advance_s: 3_601 });
    expect(await send(way, tokens, subject, path)).toBe(200);
    expect(clients.reports).toEqual([`POST /v1/tokens/fynd/companies/${company}/report`]);
  });

  it('is handed back as it is where the report brings no other token, and after a 403', async () => {
    const subject = await clients.install(company);
    const tokens = clients.make();
    // Reports of one connection count once in a while: this one brings the token that it names.
    const token = await tokens.token('fynd', subject);
    const report = { version: token.version, status: 401 };
    await world.api(broker, 'POST', `/v1/tokens/fynd/companies/${company}/report`, report);
    await world.simulator.control('POST', 'clock', { advance_s: 3_601 });
    const fresh = clients.make();
    expect(await send(way, fresh, subject, path)).toBe(401);
    const reports = clients.reports.length;
    expect(reports).toBe(1);
    await world.advance(3_700);
    expect(await send(way, fresh, subject, `${COMPANY}/999/application`)).toBe(403);
    expect(clients.reports).toHaveLength(reports);
  });

  it('takes the token to nobody else, not even where the provider sends it on', async () => {
    const subject = await clients.install(company);
    const tokens = clients.make();
    const sent = send(way, tokens, subject, `${elsewhere.url}/steal`);
    if (way === 'fetch') expect((await refusal(sent)).code).toBe('wrong_origin');
    else expect(await sent).toBe(200);
    for (const headers of heard.splice(0)) expect(headers.authorization).toBeUndefined();

    const provider = await stranger((_request, response) => {
      response.writeHead(302, { location: `${elsewhere.url}/steal` }).end();
    });
    try {
      const led = clients.make({ fetch: tokensFor(provider) });
      expect(await send(way, led, subject, `${provider.url}/away`)).toBe(302);
      expect(heard).toEqual([]);
    } finally {
      provider.stop();
    }
  });

  it('is repeated no second time by a provider that refuses whatever it is sent', async () => {
    const subject = await clients.install(company);
    const sent: (string | undefined)[] = [];
    const provider = await stranger((request, response) => {
      sent.push(request.headers.authorization);
      response.writeHead(401).end();
    });
    try {
      const refused = clients.make({ fetch: tokensFor(provider) });
      expect(await send(way, refused, subject, `${provider.url}/x`)).toBe(401);
      expect([new Set(sent).size, sent.length, clients.reports.length]).toEqual([2, 2, 1]);
    } finally {
      provider.stop();
    }
  });
});

/** The way to a broker whose provider of that name lies at a stranger's. */
function tokensFor({ url: base_url }: Stranger): typeof fetch {
  return async (url, init) => {
    const answer = await fetch(url, init);
    const body = (await answer.json()) as object;
    return Response.json({ ...body, base_url }, { status: answer.status });
  };
}
