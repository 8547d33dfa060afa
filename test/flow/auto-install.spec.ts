import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ask, eventually, type Answer, type Json } from '../support/http.js';
import { findLeaks } from '../support/leaks.js';
import { signature } from '../support/uninstalls.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

const PROVIDERS = `
providers:
  fynd: { kind: fynd-platform, base_url: '\${FYND_BASE_URL}', api_key: '\${FYND_API_KEY}', api_secret: '\${FYND_API_SECRET}',
          scopes: [company/products], auto_install: true }
`;
const BASIC = `Basic ${Buffer.from(`${API_KEY}:${API_SECRET}`).toString('base64')}`;

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
let broker: LocalBroker;
let companies = 9_000;

beforeAll(async () => {
  const PROVIDERS_FILE = join(folder, 'providers.yaml');
  writeFileSync(PROVIDERS_FILE, PROVIDERS);
  broker = await world.local({ PROVIDERS_FILE });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  await world.sql('truncate connections, provider_states');
});

const nextCompany = (): string => String(++companies);
const codeOf = ({ status, body }: Answer): unknown[] => [status, body['code']];
const token = (companyId: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/fynd/companies/${companyId}`);
const send = (text: string, headers: Record<string, string> = {}, at = broker): Promise<Answer> =>
  ask('POST', `${at.public}/fp/auto_install`, headers, text);

/** What Fynd sends, signed. */
function sendSigned(body: Json, at = broker): Promise<Answer> {
  const text = JSON.stringify(body);
  return send(text, { 'x-fp-signature': signature(text) }, at);
}

/** A code as Fynd makes one for an install without a browser. */
async function codeFor(companyId: string): Promise<string> {
  return String((await world.simulator.autoInstall(companyId)).body['code']);
}

/** Whether a code can still be redeemed; it is, by that. */
async function isUnspent(companyId: string, code: string): Promise<boolean> {
  const fields = { grant_type: 'authorization_code', code };
  return (await world.simulator.post(companyId, 'offline-token', fields, BASIC)).status === 200;
}

const exchanges = async (): Promise<unknown> => (await world.simulator.ledger()).counters['exchanges'];

describe('an install without a browser', () => {
  it('is off unless it is configured, signed or not', async () => {
    const other = await world.local();
    const companyId = nextCompany();
    const body = { company_id: companyId, code: await codeFor(companyId) };
    expect(codeOf(await sendSigned(body, other))).toEqual([404, 'not_found']);
    expect(codeOf(await send(JSON.stringify(body), {}, other))).toEqual([404, 'not_found']);
    expect(await exchanges()).toBe(0);
    expect(await isUnspent(companyId, body.code)).toBe(true);
  });

  it('connects a company on the word of Fynd, with the scopes that it grants', async () => {
    const companyId = nextCompany();
    const notify = `${broker.public}/fp/auto_install`;
    const told = await world.simulator.autoInstall(companyId, { notify, sign: true });
    expect(told.body['notify_status']).toBe(200);
    const { status, body } = await token(companyId);
    expect([status, body['version'], body['scopes']]).toEqual([
      200,
      1,
      ['company/profile', 'company/products'],
    ]);
    expect(await world.simulator.resource(body['access_token'])).toBe(200);
    expect(await isUnspent(companyId, String(told.body['code']))).toBe(false);

    // What came without a consent is renewed like any other.
    const renewed = await world.api(broker, 'POST', `/v1/connections/${String(body['connection_id'])}/renew`);
    expect(renewed.body).toMatchObject({ status: 'active', token_version: 2 });
  });

  it('says that it did, also for a company that is a number', async () => {
    const companyId = nextCompany();
    const { status, body } = await sendSigned({
      company_id: Number(companyId),
      code: await codeFor(companyId),
    });
    expect([status, body]).toEqual([200, { installed: true }]);
    expect((await token(companyId)).status).toBe(200);
  });

  it.each([
    ['none', () => ({})],
    ['one by another secret', (text: string) => ({ 'x-fp-signature': signature(text, 'test-secret-other') })],
    ['one of another body', (text: string) => ({ 'x-fp-signature': signature(`${text}\n`) })],
    ['an empty one', () => ({ 'x-fp-signature': '' })],
  ])('needs the signature of its extension: %s is refused', async (_, headers) => {
    const companyId = nextCompany();
    const code = await codeFor(companyId);
    const text = JSON.stringify({ company_id: companyId, code });
    expect(codeOf(await send(text, headers(text)))).toEqual([401, 'unauthenticated']);
    expect(codeOf(await token(companyId))).toEqual([404, 'connection_not_found']);
    expect(await exchanges()).toBe(0);
  });

  it('needs a company and a code', async () => {
    const code = 'test-secret-code';
    const bodies: Json[] = [
      ...[{ company_id: '42' }, { code }, { company_id: '4 2', code }, { company_id: -1, code }],
      ...[
        { company_id: '42', code: '' },
        { company_id: '42', code: 7 },
        { company_id: '42', code: 'a b' },
      ],
      { company_id: '42', code: 'x'.repeat(2_001) },
    ];
    for (const body of bodies) {
      expect([body, ...codeOf(await sendSigned(body))]).toEqual([body, 400, 'invalid_request']);
    }
    expect(codeOf(await sendSigned({ company_id: '42', code, client_id: 'another' }))).toEqual([
      404,
      'not_found',
    ]);
    expect(await exchanges()).toBe(0);
  });

  it.each([
    ['active', `status = 'active'`],
    ['suspect', `status = 'suspect', status_reason = 'refused_without_code'`],
    ['paused by an operator', `status = 'paused', status_reason = 'paused_by_operator', renew_at = null`],
    [
      'active, with a token that has expired',
      `expires_at = broker_now(), renew_at = broker_now() + interval '1 day'`,
    ],
  ])('never replaces a connection that lives, and spends no code: %s', async (_, change) => {
    const companyId = nextCompany();
    await world.install(broker, companyId);
    await world.sql(`update connections set ${change}`);
    const [before] = await world.sql('select * from connections');
    const asked = await exchanges();
    const code = await codeFor(companyId);
    const { status, body } = await sendSigned({ company_id: companyId, code });
    expect([status, body]).toEqual([200, { installed: false }]);
    expect(await exchanges()).toBe(asked);
    expect(await world.sql('select * from connections')).toEqual([before]);
    expect(await isUnspent(companyId, code)).toBe(true);
  });

  it.each([
    ['is dead', `status = 'reauthorization_required', status_reason = 'invalid_grant', renew_at = null`],
    [
      'was revoked',
      `status = 'revoked', status_reason = 'uninstalled', renew_at = null, sealed_token = null, sealed_grant = null`,
    ],
  ])('revives one that %s, whose versions count on', async (_, change) => {
    const companyId = nextCompany();
    await world.install(broker, companyId);
    const { body: before } = await token(companyId);
    await world.simulator.uninstall(companyId);
    await world.sql(`update connections set ${change}`);
    const code = await codeFor(companyId);
    expect((await sendSigned({ company_id: companyId, code })).body).toEqual({ installed: true });
    expect((await token(companyId)).body).toMatchObject({
      version: 2,
      connection_id: before['connection_id'],
    });
  });

  it('with a code that Fynd does not take connects nothing', async () => {
    const companyId = nextCompany();
    const body = { company_id: companyId, code: 'test-secret-bad-code' };
    expect(codeOf(await sendSigned(body))).toEqual([422, 'credential_rejected']);
    expect(await world.sql('select id from connections')).toEqual([]);
  });

  it.each([
    ['is away', { status: 503 }, [503, 'provider_unavailable']],
    ['makes no sense', { malformed: 'no_token' }, [502, 'provider_protocol_error']],
    ['refuses our key', { status: 401, body: { error: 'invalid_client' } }, [502, 'provider_misconfigured']],
  ])('connects nothing while Fynd %s', async (_, fault, expected) => {
    await world.simulator.fault({ provider: 'fynd', operation: 'exchange', times: 1, ...fault });
    const companyId = nextCompany();
    const answer = await sendSigned({ company_id: companyId, code: await codeFor(companyId) });
    expect(codeOf(answer)).toEqual(expected);
    expect(answer.headers.has('retry-after')).toBe(expected[0] === 503);
    expect(await world.sql('select id from connections')).toEqual([]);
  });

  it('comes to one connection, however many are sent at once', async () => {
    const companyId = nextCompany();
    await world.simulator.fault({ provider: 'fynd', operation: 'exchange', delay_ms: 1_000 });
    const codes = [await codeFor(companyId), await codeFor(companyId), await codeFor(companyId)];
    const answers = await Promise.all(codes.map((code) => sendSigned({ company_id: companyId, code })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(answers.filter(({ body }) => body['installed'])).toHaveLength(1);
    expect(await world.sql('select token_version from connections')).toEqual([{ token_version: 1 }]);
    expect((await token(companyId)).status).toBe(200);
  });

  it('is the same install where it is sent twice at once', async () => {
    const companyId = nextCompany();
    const body = { company_id: companyId, code: await codeFor(companyId) };
    const second = { provider: 'fynd', operation: 'exchange', times: 1, delay_ms: 1_000 };
    await world.simulator.fault(second);
    const answers = await Promise.all([sendSigned(body), sendSigned(body)]);
    expect(answers.map((answer) => [answer.status, answer.body['installed']]).sort()).toEqual([
      [200, false],
      [200, true],
    ]);
  });

  it('that a consent overtakes leaves what the consent brought', async () => {
    const companyId = nextCompany();
    const hold = { provider: 'fynd', operation: 'exchange', times: 1, hold_until_released: true };
    await world.simulator.fault(hold);
    const sent = sendSigned({ company_id: companyId, code: await codeFor(companyId) });
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
    await world.install(broker, companyId);
    const [before] = await world.sql('select * from connections');
    await world.simulator.control('POST', 'release');
    expect((await sent).body).toEqual({ installed: false });
    expect(await world.sql('select * from connections')).toEqual([before]);
  });

  it('leaves nothing of a code or a signature in the log', () => {
    expect(findLeaks(world.logs)).toEqual([]);
    expect(world.logs.join('')).not.toMatch(/x-fp-signature|[0-9a-f]{64}/i);
  });
});
