import { request as send } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import { ask, eventually, type Answer, type Json } from '../support/http.js';
import { findLeaks, SECRET_MARKS } from '../support/leaks.js';
import { dumpAsText } from '../support/postgres.js';
import { ADMIN_KEY, API_KEY, API_SECRET, useWorld } from '../support/world.js';

const SECRET = 'test-secret';
/** What a provider may do to a call; where it answers, it quotes what it should not. */
const FAULTS: Json[] = [
  { status: 500, body: { message: `${SECRET} went wrong` } },
  { status: 400, body: { error: 'invalid_request', error_description: `${SECRET} is malformed` } },
  { status: 401, body: { error: SECRET, code: `${SECRET}-code` } },
  { status: 200, body: { access_token: `${SECRET}\r\nx: y`, refresh_token: `${SECRET}-r` } },
  { status: 200, body: { access_token: { nested: SECRET } } },
  { status: 429, retry_after: 1, body: { message: SECRET } },
  { redirect: `http://127.0.0.1:9/?password=${SECRET}` },
  { malformed: 'text' },
  { malformed: 'html' },
  { malformed: 'truncated' },
  { malformed: 'no_token' },
  { reset: true },
  { lost_reply: true },
];

/** Neither a backoff nor the spacing of reports puts off the next failure. */
const DUE_AT_ONCE = `update connections set renew_at = broker_now(), lease_until = null, lease_owner = null,
  reported_at = null, reported_version = null`;

describe('secrets', () => {
  const world = useWorld();
  const answers: Answer[] = [];

  /** What every caller sees but the one who may have a token. */
  async function told(answer: Promise<Answer>): Promise<Answer> {
    const { status, headers, text } = await answer;
    answers.push(await answer);
    return { status, headers, text, body: {} };
  }

  /** As `fetch` would not send it: a request line and bytes as they are. */
  function raw(origin: string, path: string, headers: Record<string, string>, body: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const request = send(`${origin}/`, { method: 'PUT', path, headers }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      request.on('error', reject).end(body);
    });
  }

  async function installAndFail(broker: { api: string; public: string }, company: string): Promise<void> {
    const link = `${broker.public}/fp/install?company_id=${company}&client_id=${API_KEY}`;
    const consent = async (browser: Browser): Promise<string> => {
      const begun = await browser.visit(link);
      const agreed = await browser.visit(begun.headers.get('location') ?? '');
      const { pathname, search } = new URL(agreed.headers.get('location') ?? '');
      return `${broker.public}${pathname}${search}`;
    };
    for (const fault of FAULTS) {
      await world.simulator.fault({ provider: 'fynd', operation: 'exchange', times: 1, ...fault });
      const browser = new Browser();
      await told(browser.visit(await consent(browser)));
      await world.sql(`update provider_states set closed_until = null, status = 'ok'`);
    }
    const browser = new Browser();
    const back = await consent(browser);
    expect((await browser.visit(back)).status).toBe(302);
    await told(browser.visit(back));
    await told(browser.visit(`${broker.public}/fp/auth?code=${SECRET}&state=${SECRET}&company_id=${SECRET}`));
    await told(browser.visit(`${link}&cluster_url=http://u:${SECRET}@127.0.0.1&redirect_path=//${SECRET}`));
  }

  async function renewAndFail(broker: { api: string }, id: string, company: string): Promise<void> {
    for (const provider of ['fynd', 'konnect']) {
      for (const fault of FAULTS) {
        await world.simulator.fault({ provider, times: 2, ...fault });
        await world.sql(DUE_AT_ONCE);
        await world.sql('update provider_states set closed_until = null, probe_at = broker_now()');
        await told(world.api(broker, 'POST', `/v1/connections/${id}/renew`));
        const report = { version: 1, status: 401 };
        await told(world.api(broker, 'POST', `/v1/tokens/${provider}/companies/${company}/report`, report));
        await world.simulator.control('DELETE', 'faults');
      }
    }
  }

  async function offerAndFail(broker: { api: string }, company: string): Promise<void> {
    const path = `/v1/connections/konnect/companies/${company}`;
    const put = (body: unknown): Promise<Answer> => told(world.api(broker, 'PUT', path, body));
    for (let round = 0; round < 6; round += 1) {
      await put({ username: `${SECRET}-user`, password: `wrong-${SECRET}` });
    }
    // Within the hour a caller who was refused so often is refused unheard.
    await world.advance(3_700);
    await put({ username: 'u', password: SECRET, [SECRET]: SECRET });
    await put({ username: 'u', password: { [SECRET]: SECRET } });
    await put(`{"username":"u","password":"${SECRET}`);
    await put(`{"__proto__":{"password":"${SECRET}"}}`);
    await put([SECRET]);
    await put({ username: 'u', password: SECRET.repeat(7_000) });
    await told(world.api(broker, 'PUT', `${path}/locations/${SECRET}%2f${SECRET}`, { password: SECRET }));
    await told(world.api(broker, 'PUT', `/v1/connections/${SECRET}/companies/1`, { password: SECRET }));
    await told(world.api(broker, 'GET', `/v1/connections?cursor=${SECRET}&${SECRET}=1`));
    const key = { authorization: `Bearer ${ADMIN_KEY}` };
    await told(ask('PUT', `${broker.api}${path}`, { ...key, 'content-type': 'text/plain' }, SECRET));
    await raw(broker.api, `${path}?password=${SECRET}%zz`, key, SECRET);
    await raw(broker.api, `/${SECRET}/%`, { ...key, 'x-request-id': `${SECRET} {}` }, SECRET);
  }

  async function callWithWrongKeys(broker: { api: string; public: string }): Promise<void> {
    const basic = `Basic ${Buffer.from(`admin:${SECRET}-password`).toString('base64')}`;
    for (const authorization of [`Bearer ${SECRET}-wrong`, basic, SECRET, `Bearer ${API_SECRET}`]) {
      for (const url of [
        `${broker.api}/v1/connections`,
        `${broker.public}/fp/install`,
        `${broker.api}/nowhere`,
      ]) {
        await told(ask('GET', url, { authorization, cookie: `a=${SECRET}`, 'x-request-id': `${SECRET}!` }));
      }
    }
  }

  it.each([
    ['for people', { NODE_ENV: 'development' }, false],
    ['for machines, in a process of its own', {}, true],
  ])('appear in no row, no answer but the one and no log %s', async (_, changes, isOwn) => {
    const settings = { ...changes, LOG_LEVEL: 'debug' };
    const broker = isOwn ? await world.replica(settings) : await world.local(settings);
    const company = isOwn ? '2' : '1';
    await installAndFail(broker, company);
    const kept = await world.keepKonnect(broker, company);
    await told(Promise.resolve(kept));
    const ids = await world.sql<{ id: string }>('select id from connections where company_id = $1', [
      company,
    ]);
    expect(ids).toHaveLength(2);
    for (const { id } of ids) await renewAndFail(broker, id, company);
    await offerAndFail(broker, company);
    await callWithWrongKeys(broker);
    await told(world.api(broker, 'GET', '/v1/connections'));
    await told(ask('GET', `${broker.api}/metrics`));
    await told(ask('GET', `${broker.api}/health/ready`));

    const { body } = await eventually(async () => {
      const answer = await world.api(broker, 'GET', `/v1/tokens/konnect/companies/${company}`);
      return answer.status === 200 && answer;
    });
    expect(findLeaks([JSON.stringify(body)])).toHaveLength(1);
    for (const { id } of ids) await told(world.api(broker, 'DELETE', `/v1/connections/${id}`));

    const log = (): string[] => ('output' in broker ? broker.output.split('\n') : world.logs);
    // Nothing is found in a log that says nothing.
    await eventually(() => log().some((line) => line.includes('Renewal')));
    expect(findLeaks(await dumpAsText(world.databaseUrl))).toEqual([]);
    expect(findLeaks(log())).toEqual([]);
    expect(answers.length).toBeGreaterThan(90);
    const shown = answers.filter(({ body }) => !('access_token' in body));
    const seen = shown.map(({ text, headers }) => `${text}${JSON.stringify([...headers])}`);
    expect(findLeaks(seen)).toEqual([]);
  });
});

describe('the search for secrets', () => {
  const marked = SECRET_MARKS.map((mark) => `${mark}-9f3`);

  it.each(marked)('finds %s as it is, in any case, and whatever stands around it', (secret) => {
    for (const line of [
      secret,
      `{"a":"${secret}"}`,
      secret.toUpperCase(),
      encodeURIComponent(`?a=${secret}`),
    ]) {
      expect(findLeaks(['nothing', line])).toEqual([line]);
    }
  });

  it.each(marked)('finds %s in hex, as a bytea is printed', (secret) => {
    const hex = Buffer.from(`{"password":"${secret}"}`).toString('hex');
    expect(findLeaks([`(1,"\\\\x${hex}")`, hex.toUpperCase()])).toHaveLength(2);
  });

  it.each(marked)('finds %s in base64 and base64url, wherever it begins and ends', (secret) => {
    for (let before = 0; before < 12; before += 1) {
      for (let behind = 0; behind < 12; behind += 1) {
        for (const padding of ['\0', 'x', '\u00ff', '~']) {
          const bytes = Buffer.from(`${padding.repeat(before)}${secret}${padding.repeat(behind)}`, 'latin1');
          expect(findLeaks([`Basic ${bytes.toString('base64')}`, bytes.toString('base64url')])).toHaveLength(
            2,
          );
        }
      }
    }
  });

  it('finds the whole of a mark alone, at each alignment', () => {
    for (const mark of SECRET_MARKS) {
      for (const before of ['', 'a', 'ab', 'abc']) {
        expect(findLeaks([Buffer.from(`${before}${mark}`).toString('base64')])).toHaveLength(1);
      }
    }
  });

  it('finds nothing in what is none, and cuts short what it shows', () => {
    expect(findLeaks(['', 'a test of a secret', 'simulated', 'dGVzdA==', 'tests-secrets'])).toEqual([]);
    expect(findLeaks([`${'x'.repeat(400)}${SECRET}`])).toEqual(['x'.repeat(300)]);
  });
});
