import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from '@jest/globals';
import { CommandLine } from '../support/command-line.js';
import { obtainElsewhere } from '../support/elsewhere.js';
import type { Json } from '../support/http.js';
import { useImports } from '../support/imports.js';
import { useWorld } from '../support/world.js';

const world = useWorld();
const imports = useImports(world);

interface Grant {
  readonly access_token: string;
  readonly refresh_token: string;
}

/** A session as the library keeps it; offline ones lie under the hash of their cluster and company. */
function session(company: number, grant: Grant, changes: Json = {}): Json {
  return {
    company_id: company,
    organization_id: null,
    state: randomUUID(),
    scope: ['company/products'],
    expires: null,
    access_mode: 'offline',
    ...grant,
    current_user: null,
    expires_in: 3_600,
    extension_id: 'extension-1',
    access_token_validity: Date.now() + 3_600_000,
    redirect_path: null,
    ...changes,
  };
}

const keyOf = (company: number, cluster = world.simulator.url): string =>
  createHash('sha256').update(`${cluster}:${company}`).digest('hex');

const made = (name: string): Grant => ({
  access_token: `test-secret-access-${name}`,
  refresh_token: `test-secret-refresh-${name}`,
});

const lines = (...values: unknown[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join('');

describe("a session store of Fynd's extension library", () => {
  it('is read where SQLite keeps it: what is offline becomes a paused grant, users’ own is left', async () => {
    const path = join(imports.folder, 'store.sqlite');
    const store = new DatabaseSync(path);
    store.exec('create table storage (key text primary key, value text, ttl integer)');
    const keep = store.prepare('insert into storage values (?, ?, ?)');
    const grant = await obtainElsewhere(world, 'fynd', '1');
    keep.run(`ext:${keyOf(1)}`, JSON.stringify(session(1, grant)), null);
    keep.run(`ext:${randomUUID()}`, JSON.stringify(session(1, made('user'), { access_mode: 'online' })), 2e9);
    keep.run(`other:${keyOf(2)}`, JSON.stringify(session(2, made('other'))), null);
    store.close();

    const ended = await imports.bring(['sessions', path, '--prefix', 'ext']);
    expect(ended).toMatchObject({
      code: 0,
      output: expect.stringMatching(
        /^1 kept\nskipped: 1 sessions of users.*\nskipped: 1 keys with another prefix\n$/,
      ),
    });
    const [connection, ...others] = await imports.connections();
    expect(connection).toMatchObject({
      company_id: '1',
      status: 'paused',
      scopes: ['company/products'],
      token_version: 1,
    });
    expect(others).toEqual([]);
    const { body } = await world.api(imports.broker, 'GET', '/v1/tokens/fynd/companies/1?min_ttl=3000');
    expect(body['access_token']).toBe(grant.access_token);
    await world.api(imports.broker, 'POST', `/v1/connections/${String(connection?.['id'])}/resume`);
    await world.settle(imports.broker);
    expect((await imports.connections())[0]).toMatchObject({
      status: 'active',
      token_version: 2,
      last_error: null,
    });
  });

  it.each<[string, (pairs: [string, Json][]) => string]>([
    ['lines of keys and values', (pairs) => lines(...pairs.map(([key, value]) => ({ key, value })))],
    ['lines of values alone', (pairs) => lines(...pairs.map(([, value]) => value))],
    [
      'lines of texts',
      (pairs) => lines(...pairs.map(([key, value]) => ({ key, value: JSON.stringify(value) }))),
    ],
    ['one object', (pairs) => JSON.stringify(Object.fromEntries(pairs))],
    ['one object over many lines', (pairs) => JSON.stringify(Object.fromEntries(pairs), null, 2)],
    [
      'one list',
      (pairs) =>
        JSON.stringify(
          pairs.map(([, value]) => value),
          null,
          2,
        ),
    ],
  ])('is read as JSON: %s', async (_, write) => {
    const pairs = [1, 2].map((it): [string, Json] => [keyOf(it), session(it, made(String(it)))]);
    const { code, output } = await imports.bring(['sessions', imports.file('json', write(pairs))]);
    expect([code, output]).toEqual([0, '2 kept\n']);
    expect((await imports.connections()).map((it) => it['company_id'])).toEqual(['1', '2']);
    const single = await imports.bring(['sessions', imports.file('json', write(pairs.slice(0, 1)))]);
    expect(single).toMatchObject({ code: 0, output: '1 unchanged\n' });
  });

  it('tells every mistake with its line, quotes no secret, and then does nothing', async () => {
    const path = imports.file(
      'jsonl',
      `${lines(session(1, made('1')), session(2, { access_token: 'a', refresh_token: 'test-secret with space' }))}
{"company_id": 3, "access_mode": "offline", "refresh_token": "test-secret-cut
${lines(session(4, made('4'), { company_id: '../4' }), session(5, made('5'), { scope: 'a b' }), session(6, made('6'), { access_token_validity: 'soon' }), session(1, made('again')))}`,
    );
    const { code, output } = await imports.bring(['sessions', path]);
    expect(code).toBe(78);
    expect(output.match(/\.jsonl:\d+: .*/g)).toEqual([
      '.jsonl:2: refresh_token is no token: printable ASCII without spaces',
      '.jsonl:4: is no JSON',
      '.jsonl:5: company_id must be 1 to 64 of A-Z a-z 0-9 . _ -, or a number',
      '.jsonl:6: scope must be a list of scopes',
      '.jsonl:7: access_token_validity must be a time in milliseconds',
      '.jsonl:8: is for the same company or location as line 1',
    ]);
    expect(output).toContain('6 mistakes');
    expect(await imports.connections()).toEqual([]);
  });

  it('of several extensions and clusters is taken for the one that is named', async () => {
    const path = imports.file(
      'jsonl',
      lines(
        { key: keyOf(1), value: session(1, made('1')) },
        { key: keyOf(2), value: session(2, made('2'), { extension_id: 'extension-2' }) },
        { key: keyOf(3, 'https://api.other.example'), value: session(3, made('3')) },
        { key: 'queue:1', value: { job: 1 } },
        { key: keyOf(4), value: session(4, { ...made('4'), refresh_token: '' }) },
        { key: keyOf(5), value: session(5, made('5'), { company_id: null, organization_id: 'org' }) },
      ),
    );
    expect(await imports.bring(['sessions', path])).toMatchObject({
      code: 78,
      output: expect.stringContaining('there are extension-1, extension-2: say which with --extension'),
    });
    const { code, output } = await imports.bring([
      ...['sessions', path, '--extension', 'extension-1', '--cluster', world.simulator.url],
    ]);
    expect(code).toBe(0);
    expect(output.split('\n').sort()).toEqual([
      '',
      '1 kept',
      'skipped: 1 sessions of another cluster',
      'skipped: 1 sessions of another extension',
      'skipped: 1 sessions of organizations, which belong to no company',
      'skipped: 1 sessions without a refresh token: their sellers open the extension once more',
      'skipped: 1 values that are no sessions of the library',
    ]);
  });

  it('knows an offline session whose mode the library has lost, as it does with the first renewal', async () => {
    const renewed = { ...session(1, made('1')), access_mode: undefined };
    const users = { ...renewed, refresh_token: undefined };
    const { output } = await imports.bring([
      'sessions',
      imports.file('jsonl', lines(renewed, { ...users, company_id: 2 })),
    ]);
    expect(output).toMatch(/^1 kept\nskipped: 1 sessions of users/);
  });

  it('keeps the grant of a token that has ended, and no token', async () => {
    const past = { access_token_validity: Date.now() - 60_000 };
    expect(
      (await imports.bring(['sessions', imports.file('jsonl', lines(session(1, made('1'), past)))])).output,
    ).toBe('1 kept\n');
    expect((await imports.connections())[0]).toMatchObject({
      status: 'paused',
      token_version: 0,
      expires_at: null,
    });
  });

  it('does nothing at all in a dry run, which needs no broker', async () => {
    const path = imports.file('jsonl', lines(session(1, made('1'))));
    const ended = await CommandLine.run(['import', 'sessions', path, '--dry-run']);
    expect(ended).toEqual({
      code: 0,
      output: expect.stringMatching(
        /^1 to be kept; nothing was done\nno broker was asked: what it would refuse, .*\n$/,
      ),
    });
    expect(await imports.connections()).toEqual([]);
  });

  it('that is imported twice changes nothing, and a newer one what is still paused', async () => {
    const soon = { access_token_validity: Date.now() + 1_800_000 };
    const first = lines(session(1, made('1'), soon), session(2, made('2'), soon));
    await imports.bring(['sessions', imports.file('jsonl', first)]);
    const [before, done] = [await imports.connections(), await imports.changes()];
    expect((await imports.bring(['sessions', imports.file('jsonl', first)])).output).toBe('2 unchanged\n');
    expect([await imports.connections(), await imports.changes()]).toEqual([before, done]);

    await world.api(imports.broker, 'POST', `/v1/connections/${String(before[0]?.['id'])}/resume`);
    const newer = lines(session(1, made('1b')), session(2, made('2b')));
    const second = imports.file('jsonl', newer);
    const ended = await imports.bring(['sessions', second]);
    expect(ended).toMatchObject({ code: 1, output: expect.stringContaining('1 replaced, 1 failed') });
    const [one, two] = await imports.connections();
    expect(one).toMatchObject({ status: 'active', token_version: 1 });
    expect(two).toMatchObject({ status: 'paused', token_version: 2 });
    // Somebody else still renews what the broker renews, too.
    const report = readFileSync(`${second}.failed.jsonl`, 'utf8');
    expect(JSON.parse(report)).toMatchObject({ line: 1, company_id: '1', code: 'renewed_elsewhere' });
    expect((await imports.bring(['sessions', imports.file('jsonl', first)])).output).toBe(
      '1 unchanged, 1 left\n',
    );
  });

  it('is not written over by who may write what it may not see', async () => {
    const { key } = await world.client(
      imports.broker,
      ...['connection:write fynd/**', 'connection:read konnect/companies/1'],
    );
    await imports.bring(['sessions', imports.file('jsonl', lines(session(1, made('1'))))]);
    const { code, output } = await imports.bring(
      [
        'sessions',
        imports.file('jsonl', lines(session(1, made('1b')), session(2, made('2')))),
        '--at-once',
        '1',
      ],
      key,
    );
    expect([code, output]).toEqual([1, expect.stringContaining('give it connection:read')]);
    expect(await imports.connections()).toHaveLength(1);
  });
});

it('an import that lacks an address, a key or a file says so', async () => {
  const ended = await CommandLine.run(['import', 'sessions', imports.file('json', '{}')]);
  expect(ended.code).toBe(78);
  expect(ended.output).toMatch(/BROKER_URL must be[^]*BROKER_KEY/);
  expect(await imports.bring(['sessions', join(imports.folder, 'nowhere')])).toMatchObject({
    code: 78,
    output: expect.stringContaining('cannot be read'),
  });
  expect(
    await imports.bring(
      ['sessions', imports.file('jsonl', lines(session(1, made('1'))))],
      'test-secret-unknown',
    ),
  ).toMatchObject({
    code: 1,
    output: expect.stringContaining(
      'ended after 0 of 1: BROKER_KEY is refused by BROKER_URL. Run it again to go on\n',
    ),
  });
});
