import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import type { Json } from '../support/http.js';
import { API_KEY, API_SECRET, UI_URL, useWorld, type LocalBroker } from '../support/world.js';

interface Seen {
  readonly request: string;
  readonly type: string | undefined;
  readonly authorization: string | undefined;
  readonly body: Json;
}

const OAUTH = '/service/panel/authentication/v1.0/company/42/oauth';
const BASIC = `Basic ${Buffer.from(`${API_KEY}:${API_SECRET}`).toString('base64')}`;

/** Gives a token for everything, and keeps what it was asked for word by word. */
class Recorder {
  readonly seen: Seen[] = [];
  readonly #server: Server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const { method, url, headers } = request;
      const isJson = headers['content-type'] === 'application/json';
      const body = isJson ? (JSON.parse(text) as Json) : Object.fromEntries(new URLSearchParams(text));
      const { authorization, 'content-type': type } = headers;
      this.seen.push({ request: `${method} ${url}`, type, authorization, body });
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          access_token: `test-secret-access-${this.seen.length}`,
          token_type: 'Bearer',
          expires_in: 3600,
          refresh_token: 'test-secret-refresh',
          scope: ['company/products'],
          current_user: { _id: 'user-7', first_name: 'test-secret-name' },
        }),
      );
    });
  });

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
  }
}

describe('what Fynd Platform is sent', () => {
  const world = useWorld();
  const recorder = new Recorder();
  let fynd: string;

  beforeAll(async () => {
    fynd = await recorder.open();
  });
  beforeEach(async () => {
    await world.sql('delete from connections');
    recorder.seen.length = 0;
  });
  afterAll(() => recorder.close());

  /** A seller comes back from consent with this code; where the browser is sent. */
  async function consent(at: LocalBroker, browser = new Browser()): Promise<string | null> {
    const begun = await browser.visit(`${at.public}/fp/install?company_id=42&client_id=${API_KEY}`);
    const state = new URL(begun.headers.get('location') ?? '').searchParams.get('state') ?? '';
    const answer = new URLSearchParams({
      company_id: '42',
      client_id: API_KEY,
      code: 'test-secret-code',
      state,
    });
    return (await browser.visit(`${at.public}/fp/auth?${String(answer)}`)).headers.get('location');
  }

  async function renew(at: LocalBroker): Promise<void> {
    const [row] = await world.sql<{ id: string }>('select id from connections');
    expect((await world.api(at, 'POST', `/v1/connections/${row?.id}/renew`)).status).toBe(200);
  }

  it('for an online token: grant_type and code as JSON, with the pair in a Basic header', async () => {
    const at = await world.local({ FYND_BASE_URL: fynd, FYND_ACCESS_MODE: 'online' });
    const landed = new URL((await consent(at)) ?? '');
    expect(recorder.seen).toEqual([
      {
        request: `POST ${OAUTH}/token`,
        type: 'application/json',
        authorization: BASIC,
        body: { grant_type: 'authorization_code', code: 'test-secret-code' },
      },
    ]);
    expect(`${landed.origin}${landed.pathname}`).toBe(`${UI_URL}/company/42`);
    const ticket = landed.searchParams.get('ticket');
    const session = await world.api(at, 'POST', '/v1/sessions', { ticket });
    expect(session.body).toMatchObject({ company_id: '42', user: { id: 'user-7' } });
  });

  it("for a renewal as its document has it: the code and the refresh token at the offline token's endpoint", async () => {
    const at = await world.local({ FYND_BASE_URL: fynd, FYND_RENEWAL: 'document' });
    await consent(at);
    await renew(at);
    expect(recorder.seen.slice(1)).toEqual([
      {
        request: `POST ${OAUTH}/offline-token`,
        type: 'application/json',
        authorization: BASIC,
        body: {
          grant_type: 'authorization_code',
          code: 'test-secret-code',
          refresh_token: 'test-secret-refresh',
        },
      },
    ]);
  });

  it('for a renewal as its libraries do it: a form with the refresh token alone', async () => {
    const at = await world.local({ FYND_BASE_URL: fynd, FYND_RENEWAL: 'library' });
    await consent(at);
    await renew(at);
    expect(recorder.seen.slice(1)).toEqual([
      {
        request: `POST ${OAUTH}/token`,
        type: 'application/x-www-form-urlencoded',
        authorization: BASIC,
        body: { grant_type: 'refresh_token', refresh_token: 'test-secret-refresh' },
      },
    ]);
  });

  it('by those who call its API: the token that it gave, as a bearer token at its own address', async () => {
    const at = await world.local({ FYND_BASE_URL: fynd });
    await consent(at);
    const { body } = await world.api(at, 'GET', '/v1/tokens/fynd/companies/42');
    expect(body).toMatchObject({
      header: { name: 'Authorization', value: 'Bearer test-secret-access-1' },
      base_url: fynd,
      token_type: 'Bearer',
      expires_in: expect.any(Number),
      scopes: ['company/products'],
    });
  });
});
