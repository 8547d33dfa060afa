import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import type { Answer, Json } from '../support/http.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

const DAY_S = 86_400;

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
let broker: LocalBroker;
let companies = 24_000;

beforeAll(async () => {
  const file = join(folder, 'providers.yaml');
  const { url } = world.simulator;
  writeFileSync(
    file,
    `providers:
  fynd: { kind: fynd-platform, base_url: '${url}', api_key: ${API_KEY}, api_secret: ${API_SECRET}, scopes: [a] }
  konnect: { kind: konnect, base_url: '${url}' }
  portal: { kind: portal }
  monthly: { kind: portal, rotate_after: 30d }
  yearly: { kind: konnect, base_url: '${url}', rotate_after: 365d }
`,
  );
  broker = await world.local({ PROVIDERS_FILE: file });
  // Nothing is renewed but what a test asks for: days go by.
  await broker.broker.app.get(RenewalSchedule).stop();
});
beforeEach(() => world.sql('truncate connections'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const next = (): string => String(++companies);
const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
  world.api(broker, method, `/v1/connections${path}`, body);
const found = async (id: unknown): Promise<Json> => (await call('GET', `/${String(id)}`)).body;

async function kept(provider: string, company = next(), name = company): Promise<Json> {
  const secret = `test-secret-${name}`;
  const isPortal = provider === 'portal' || provider === 'monthly';
  const body = isPortal ? { token: secret, token_type: 'service' } : { username: name, password: secret };
  const answer = await call('PUT', `/${provider}/companies/${company}`, body);
  if (answer.status > 201) throw new Error(answer.text);
  return answer.body;
}

/** Days from now until the secret is to be replaced. */
function daysLeft({ rotate_by }: Json): number {
  const left = Date.parse(String(rotate_by)) - world.clock.now().getTime();
  return Math.round((left / 1_000 / DAY_S) * 1_000) / 1_000;
}

async function listed(query: string): Promise<unknown[]> {
  const { status, body } = await call('GET', query);
  expect(status).toBe(200);
  return (body['items'] as Json[]).map(({ id }) => id);
}

describe('a secret that a person made', () => {
  it.each([
    ['portal', 90],
    ['konnect', 90],
    ['monthly', 30],
    ['yearly', 365],
  ])('is to be replaced in time: one of %s in %d days', async (provider, days) => {
    const connection = await kept(provider);
    expect(daysLeft(connection)).toBeCloseTo(days, 2);
    expect(connection).not.toHaveProperty('rotation');
  });

  it.each(['portal', 'konnect'])(
    'of %s is no newer for being kept again, and another one is',
    async (provider) => {
      const company = next();
      const first = await kept(provider, company);
      await world.advance(10 * DAY_S);
      const again = await kept(provider, company);
      expect([again['id'], again['rotate_by']]).toEqual([first['id'], first['rotate_by']]);
      const other = await kept(provider, company, `${company}-other`);
      expect(daysLeft(other)).toBeCloseTo(90, 2);
    },
  );
});

describe('the list of what is to be replaced', () => {
  it.each(['portal', 'konnect'])(
    'tells what is due within 14 days, and then overdue: %s',
    async (provider) => {
      const { id } = await kept(provider);
      const seen = async (): Promise<unknown> => [
        (await found(id))['rotation'],
        await listed('?rotation=due'),
        await listed('?rotation=overdue'),
      ];
      await world.advance(75.9 * DAY_S);
      expect(await seen()).toEqual([undefined, [], []]);
      await world.advance(0.2 * DAY_S);
      expect(await seen()).toEqual(['due', [id], []]);
      await world.advance(13.8 * DAY_S);
      expect(await seen()).toEqual(['due', [id], []]);
      await world.advance(0.2 * DAY_S);
      expect(await seen()).toEqual(['overdue', [], [id]]);
      const [shown] = (await call('GET', '?rotation=overdue')).body['items'] as Json[];
      expect(shown).toEqual(await found(id));
      // Being late is no reason to stop serving it.
      expect(shown).toMatchObject({ status: 'active' });
    },
  );

  it('holds whatever still holds a secret, and never what was revoked', async () => {
    const ids: Record<string, unknown> = {};
    for (const name of ['plain', 'paused', 'suspect', 'revoked']) ids[name] = (await kept('portal'))['id'];
    const dead = await call('PUT', `/portal/companies/${next()}`, {
      token: 'test-secret-dead',
      token_type: 'service',
      expires_at: new Date(world.clock.now().getTime() + 60_000).toISOString(),
    });
    await call('POST', `/${String(ids['paused'])}/pause`);
    const { company_id } = await found(ids['suspect']);
    const path = `/v1/tokens/portal/companies/${String(company_id)}/report`;
    await world.api(broker, 'POST', path, { version: 1, status: 401 });
    await call('DELETE', `/${String(ids['revoked'])}`);
    const living = [ids['plain'], ids['paused'], ids['suspect'], dead.body['id']].map(String).sort();
    for (const [days, rotation] of [
      [80, 'due'],
      [20, 'overdue'],
    ] as const) {
      await world.advance(days * DAY_S);
      expect(await listed(`?rotation=${rotation}`)).toEqual(living);
      expect(await found(ids['revoked'])).not.toHaveProperty('rotation');
    }
  });

  it('loses what was replaced', async () => {
    const company = next();
    const { id } = await kept('portal', company);
    await world.advance(95 * DAY_S);
    expect(await listed('?rotation=overdue')).toEqual([id]);
    expect(await kept('portal', company, `${company}-new`)).not.toHaveProperty('rotation');
    expect(await listed('?rotation=overdue')).toEqual([]);
  });

  it('goes with the other filters, and page by page', async () => {
    const made: string[] = [];
    for (let n = 0; n < 5; n += 1) made.push(String((await kept('portal'))['id']));
    const konnect = String((await kept('konnect'))['id']);
    await world.advance(80 * DAY_S);
    const young = await kept('portal');
    expect(await listed('?rotation=due')).toEqual([...made, konnect].sort());
    expect(await listed('?rotation=due&provider=konnect')).toEqual([konnect]);
    expect(await listed(`?rotation=due&company_id=${String(young['company_id'])}`)).toEqual([]);
    const pages: unknown[][] = [];
    let cursor: unknown = '';
    do {
      const suffix = cursor === '' ? '' : `&cursor=${String(cursor)}`;
      const { body } = await call('GET', `?rotation=due&provider=portal&limit=2${suffix}`);
      pages.push((body['items'] as Json[]).map(({ id }) => id));
      cursor = body['next_cursor'];
    } while (cursor !== null);
    expect(pages.map(({ length }) => length)).toEqual([2, 2, 1]);
    expect(pages.flat()).toEqual([...made].sort());
  });

  it('knows due and overdue, given once', async () => {
    for (const query of [
      'rotation=',
      'rotation=Due',
      'rotation=none',
      'rotation=due&rotation=overdue',
      'rotation=due,overdue',
    ]) {
      const { status, body } = await call('GET', `?${query}`);
      expect([query, status, (body['errors'] as Json[] | undefined)?.[0]?.['field']]).toEqual([
        query,
        400,
        'rotation',
      ]);
    }
  });
});
