import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { CommandLine } from '../support/command-line.js';
import { eventually } from '../support/http.js';
import { useImports } from '../support/imports.js';
import { useWorld } from '../support/world.js';

const world = useWorld();
const imports = useImports(world);

describe('a list of Konnect credentials', () => {
  const HEADER = 'company_id,location_id,username,password\n';

  it('is proven line by line; what the provider refuses is in a report, without a secret', async () => {
    await world.simulator.fault({
      provider: 'konnect',
      username: 'wrong',
      status: 200,
      body: { status: 'FAILURE' },
    });
    const path = imports.file(
      'csv',
      `\uFEFF${HEADER}1,,one,"test-secret, with ""quotes"""\r\n1,7,seven,test-secret-7\r\n2,,wrong,test-secret-wrong\r\n`,
    );
    expect(await imports.bring(['credentials', path])).toMatchObject({
      code: 1,
      output: expect.stringContaining('2 kept, 1 failed'),
    });
    expect(
      (await imports.connections('konnect')).map((it) => [
        it['company_id'],
        it['location_id'],
        it['token_version'],
      ]),
    ).toEqual(
      expect.arrayContaining([
        ['1', null, 1],
        ['1', '7', 1],
      ]),
    );
    const report = readFileSync(`${path}.failed.jsonl`, 'utf8');
    world.logs.push(report);
    expect(JSON.parse(report)).toEqual({
      line: 4,
      company_id: '2',
      location_id: null,
      code: 'credential_rejected',
      detail: expect.stringContaining('refuses this credential'),
    });
    expect(existsSync(`${path}.progress.json`)).toBe(false);
    expect((await imports.bring(['credentials', path])).output).toContain('2 unchanged, 1 failed');
  });

  it('is also JSON, and kept without a proof where that is said', async () => {
    const rows = [{ company_id: 3, username: 'three', password: 'test-secret-3' }];
    const ended = await imports.bring([
      'credentials',
      imports.file('json', JSON.stringify(rows)),
      '--no-verify',
    ]);
    expect(ended).toMatchObject({ code: 0, output: '1 kept\n' });
    expect(await imports.connections('konnect')).toContainEqual(
      expect.objectContaining({ company_id: '3', token_version: 0 }),
    );
  });

  it('ends in order where five were refused within an hour, and says when to go on', async () => {
    await world.simulator.fault({ provider: 'konnect', status: 200, body: { status: 'FAILURE' } });
    const rows = Array.from({ length: 8 }, (_, index) => `${index + 1},,u${index},test-secret-${index}\n`);
    const path = imports.file('csv', HEADER + rows.join(''));
    const { code, output } = await imports.bring(['credentials', path, '--at-once', '1']);
    expect(code).toBe(1);
    expect(output).toMatch(/5 failed[^]*|five credentials were refused/);
    expect(output).toMatch(/ended after 5 of 8: five credentials were refused .* for (59|60) minutes more/);
    await world.simulator.control('DELETE', 'faults');
    await world.advance(3_601);
    const again = await imports.bring(['credentials', path, '--at-once', '1']);
    expect(again.output).toContain('going on after 5 of 8');
    expect(again.output).toContain('3 kept, 5 failed');
    expect(await imports.connections('konnect')).toHaveLength(3);
  });

  it.each([
    ['company_id,username\n1,one\n', /:1: the header lacks password: a header with company_id, /],
    [
      'company,username,secret\n1,one,x\n',
      /:1: the header names "company", "secret": a header with company_id, /,
    ],
    [
      'company_id,username,password,note\n1,one,test-secret-1,x\n',
      /:1: the header names "note": .* company_id, location_id, username, password is expected/,
    ],
    [
      'company_id,username,password,test-secret!\n1,one,x,y\n',
      /:1: the header names a column that has no name/,
    ],
    ['1,,one,test-secret-1\n', /:1: names no column that is known: a header with company_id, .* is expected/],
    ['company_id,username,password\n1,one\n', /:2: has 2 fields, and the header 3/],
    ['company_id,username,password\n1,one,"test-secret-open\n2,two,test-secret-2\n', /is no CSV/],
    ['company_id,username,username\n1,one,test-secret-1\n', /:1: the header names a column twice/],
  ])('that is wrong is told: %j', async (text, message) => {
    const { code, output } = await imports.bring(['credentials', imports.file('csv', text), '--no-verify']);
    expect([code, output]).toEqual([78, expect.stringMatching(message)]);
    expect(await imports.connections('konnect')).toEqual([]);
  });

  it('goes on where it was once it has been killed, and does nothing twice', async () => {
    // The provider is asked 50 times a second at most, so that no machine is done before it can be killed.
    const count = 150;
    const rows = Array.from(
      { length: count },
      (_, index) => `${index + 1},,u${index},test-secret-${index}\n`,
    );
    const path = imports.file('csv', HEADER + rows.join(''));
    const args = ['import', 'credentials', path];
    const before = await imports.changes();
    const killed = CommandLine.start(args, imports.env);
    await eventually(() => {
      const progress = existsSync(`${path}.progress.json`) && readFileSync(`${path}.progress.json`, 'utf8');
      return progress && (JSON.parse(progress) as { settled: number }).settled > 0;
    });
    killed.kill('SIGKILL');
    await killed.ended();
    const { settled } = JSON.parse(readFileSync(`${path}.progress.json`, 'utf8')) as { settled: number };
    expect(settled).toBeLessThan(count);
    const { code, output } = await CommandLine.run(args, imports.env);
    expect(code).toBe(0);
    const [, from] = /going on after (\d+) of 150/.exec(output) ?? [];
    expect(Number(from)).toBe(settled);
    expect((await imports.changes()) - before).toBe(count);
    const [row] = await world.sql<{ n: number }>(`select count(*)::int as n from connections`);
    expect(row?.n).toBe(count);
  });
});
