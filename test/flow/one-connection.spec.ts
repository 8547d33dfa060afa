import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { AuditFlush } from '../../src/audit/audit-flush.js';
import { ClientDirectory } from '../../src/clients/client-directory.js';
import { eventually } from '../support/http.js';
import { Issuer } from '../support/issuer.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

describe('requests on one connection', () => {
  const world = useWorld();
  let broker: LocalBroker;
  let issuer: Issuer;
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-one-connection-'));
  const adminKeyFile = join(folder, 'admin-key');
  /** Every one of them on the same connection. */
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();

  beforeAll(async () => {
    issuer = await Issuer.start();
    writeFileSync(adminKeyFile, ADMIN_KEY);
    broker = await world.local({
      ADMIN_KEY: undefined,
      ADMIN_KEY_FILE: adminKeyFile,
      WORKLOAD_ISSUERS: issuer.url,
    });
    await world.keepKonnect(broker, '42');
    await world.keepKonnect(broker, '43');
  });

  afterAll(async () => {
    agent.destroy();
    await issuer.down();
    rmSync(folder, { recursive: true, force: true });
    expect(ports.size).toBe(1);
  });

  /** What a read of this company's token comes to, with this header. */
  function read(authorization: string, company = '42'): Promise<string> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = new URL(broker.api);
      const path = `/v1/tokens/konnect/companies/${company}`;
      const sent = send({ hostname, port, path, agent, headers: { authorization } }, (response) => {
        ports.add(response.socket.localPort);
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve((JSON.parse(text) as { code?: string }).code ?? 'a token'));
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  const make = async (permission = 'konnect/companies/42'): Promise<{ id: string; header: string }> => {
    const { id, key } = await world.client(broker, `token:read ${permission}`);
    return { id, header: `Bearer ${key}` };
  };

  /** How often some clients had to prove who they are for so many reads of each, in turns. */
  async function proofsOf(count: number, times: number): Promise<number> {
    const headers: string[] = [];
    for (let made = 0; made < count; made += 1) headers.push((await make()).header);
    for (const header of headers) await read(header);
    const proofs = jest.spyOn(broker.broker.app.get(ClientDirectory), 'knownKey');
    for (let time = 0; time < times; time += 1)
      for (const header of headers) expect(await read(header)).toBe('a token');
    const { length } = proofs.mock.calls;
    proofs.mockRestore();
    return length;
  }

  it('prove once whose they are, as long as there are not too many', async () => {
    expect([await proofsOf(1, 5), await proofsOf(5, 3)]).toEqual([1, 5]);
    expect(await proofsOf(9, 3)).toBeGreaterThan(9);
  });

  it('are each of whom it says', async () => {
    const [one, other] = [await make(), await make()];
    for (const { header } of [one, other, one, one, other]) expect(await read(header)).toBe('a token');
    await broker.broker.app.get(AuditFlush).flush();
    const counts = await world.sql<{ actor: string; count: number }>(
      `select actor, sum(count)::integer as count from audit_events where actor = any($1) group by actor`,
      [[one.id, other.id]],
    );
    expect(Object.fromEntries(counts.map(({ actor, count }) => [actor, count]))).toEqual({
      [one.id]: 3,
      [other.id]: 2,
    });
  });

  it('are of nobody with any other header', async () => {
    const { header } = await make();
    const last = header.endsWith('A') ? 'B' : 'A';
    for (const wrong of [
      `${header.slice(0, -1)}${last}`,
      header.slice(0, -1),
      `${header}A`,
      '',
      header.slice(7),
    ]) {
      expect(await read(header)).toBe('a token');
      expect(await read(wrong)).toBe('unauthenticated');
    }
  });

  it('may do what their client may now', async () => {
    const { id, header } = await make();
    expect([await read(header), await read(header, '43')]).toEqual(['a token', 'forbidden']);
    const permissions = [{ action: 'token:read', resource: 'konnect/companies/43' }];
    await world.sql('update clients set permissions = $2 where id = $1', [id, JSON.stringify(permissions)]);
    await world.sql(`select pg_notify('clients', $1)`, [id]);
    await eventually(async () => (await read(header, '43')) === 'a token');
    expect(await read(header)).toBe('forbidden');
  });

  it('are of nobody with a key that another has replaced', async () => {
    const { id, header } = await make();
    for (let time = 0; time < 3; time += 1) expect(await read(header)).toBe('a token');
    const { body } = await world.api(broker, 'POST', `/v1/clients/${id}/rotate`, { overlap: 0 });
    expect(await read(`Bearer ${String(body['key'])}`)).toBe('a token');
    expect(await read(header)).toBe('unauthenticated');
  });

  it('are of nobody once the token of their workload has ended', async () => {
    const workload = { issuer: issuer.url, subject: 'system:serviceaccount:shop:orders' };
    const permissions = [{ action: 'token:read', resource: 'konnect/companies/42' }];
    await world.api(broker, 'POST', '/v1/clients', { name: 'orders', permissions, workload });
    const exp = Math.floor(world.clock.now().getTime() / 1_000) + 120;
    const header = `Bearer ${await issuer.token({ sub: workload.subject, exp })}`;
    // The first is answered by the long way, which alone looks it up.
    for (let time = 0; time < 3; time += 1) expect(await read(header)).toBe('a token');
    await world.advance(300);
    expect(await read(header)).toBe('unauthenticated');
  });

  it('are of nobody once the client is gone, or its key has ended', async () => {
    // The first of a key is looked up, and the second is proven.
    const { id, header } = await make();
    for (let time = 0; time < 3; time += 1) expect(await read(header)).toBe('a token');
    await world.api(broker, 'DELETE', `/v1/clients/${id}`);
    expect(await read(header)).toBe('unauthenticated');

    const { body } = await world.api(broker, 'POST', '/v1/clients', {
      name: 'brief',
      permissions: [{ action: 'token:read', resource: 'konnect/companies/42' }],
      expires_at: new Date(world.clock.now().getTime() + 60_000).toISOString(),
    });
    const brief = `Bearer ${String(body['key'])}`;
    for (let time = 0; time < 3; time += 1) expect(await read(brief)).toBe('a token');
    await world.advance(61);
    expect(await read(brief)).toBe('unauthenticated');
  });

  it('are of an operator with ADMIN_KEY as it is now', async () => {
    const [former, present] = [ADMIN_KEY, ADMIN_KEY.replace('admin', 'other')];
    for (let time = 0; time < 3; time += 1) expect(await read(`Bearer ${former}`)).toBe('a token');
    writeFileSync(`${adminKeyFile}.new`, present);
    renameSync(`${adminKeyFile}.new`, adminKeyFile);
    await eventually(async () => (await read(`Bearer ${present}`)) === 'a token');
    expect(await read(`Bearer ${former}`)).toBe('unauthenticated');
  });
});
