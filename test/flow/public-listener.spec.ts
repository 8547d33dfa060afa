import { connect, type Socket } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { PUBLIC_POOL } from '../../src/database/database.js';
import { MOST_IN_FLIGHT } from '../../src/http/public-door.js';
import { ask, eventually, type Answer } from '../support/http.js';
import { counted } from '../support/metrics.js';
import { hint } from '../support/uninstalls.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
const COMPANY = '42';
const POST =
  'POST /fp/uninstall HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 8000\r\n';
let slow: Promise<number[]>;
const TOKEN = `/v1/tokens/konnect/companies/${COMPANY}`;

beforeAll(async () => {
  broker = await world.local({ DATABASE_POOL: '2' });
  await world.keepKonnect(broker, COMPANY);
  // They are cut after ten seconds and more: the other tests go on meanwhile.
  slow = beSlow();
});
// Each test begins with a simulator that knows nothing, and what it does not know is proven to be uninstalled.
beforeEach(() => world.install(broker, COMPANY));

function connectTo(url: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  return socket.on('error', () => undefined).resume();
}

/** Sends a byte each 200 ms; seconds until it is cut. */
async function drip(head: string): Promise<number> {
  const socket = connectTo(broker.public);
  const begun = performance.now();
  socket.write(head);
  const timer = setInterval(() => socket.writable && socket.write('x'), 200);
  await new Promise((resolve) => socket.on('close', resolve));
  clearInterval(timer);
  return (performance.now() - begun) / 1_000;
}

/** Seconds until each is cut that is slow from its first byte, with its headers or with its body; and one that says nothing. */
async function beSlow(): Promise<number[]> {
  const heads = ['', 'GET /fp/install HTTP/1.1\r\nhost: x\r\nx-slow: ', `${POST}\r\n`];
  const silent = connectTo(broker.public);
  const isCut = new Promise((resolve) => silent.on('close', resolve));
  const seconds = await Promise.all(heads.map(drip));
  await isCut;
  return seconds;
}

/** Locks a table until the work is done, or unlocks it: every statement on it waits. */
async function whileLocked(
  table: string,
  work: (unlock: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const client = new Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    await client.query(`begin; lock table ${table} in access exclusive mode`);
    await work(() => client.query('rollback'));
  } finally {
    await client.end();
  }
}

const hintOf = (company: string): Promise<Answer> => hint(broker, { company_id: company });
const manyHints = (count: number): Promise<Answer>[] => Array.from({ length: count }, () => hintOf(COMPANY));

/** How many connections of each name wait for a lock. */
async function waiting(): Promise<Record<string, number>> {
  const rows = await world.sql<{ name: string; total: number }>(
    `select application_name as name, count(*)::int as total from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' group by 1`,
  );
  return Object.fromEntries(rows.map(({ name, total }) => [name, total]));
}

describe('the connections to the database', () => {
  it('that the Internet has taken are none of those inside', async () => {
    await whileLocked('uninstall_hints', async (unlock) => {
      const hints = manyHints(20);
      await eventually(async () => (await waiting())['token-broker public'] === 3);
      expect(await waiting()).toEqual({ 'token-broker public': 3 });
      const begun = performance.now();
      for (let read = 0; read < 20; read += 1) {
        expect((await world.api(broker, 'GET', TOKEN)).status).toBe(200);
      }
      expect((await world.api(broker, 'GET', '/v1/connections')).status).toBe(200);
      expect((await world.keepKonnect(broker, '43')).status).toBe(201);
      expect(performance.now() - begun).toBeLessThan(2_000);
      await unlock();
      expect(new Set((await Promise.all(hints)).map(({ status }) => status))).toEqual(new Set([202]));
    });
  });

  it('that the services inside have taken are none of those for sellers', async () => {
    await whileLocked('online_sessions', async (unlock) => {
      const trades = [1, 2, 3, 4].map(() =>
        world.api(broker, 'POST', '/v1/sessions', { ticket: 'a'.repeat(43) }),
      );
      await eventually(async () => (await waiting())['token-broker'] === 2);
      const begun = performance.now();
      await world.install(broker, '61');
      expect(performance.now() - begun).toBeLessThan(2_000);
      const [row] = await world.sql(`select status from connections where company_id = '61'`);
      expect(row).toEqual({ status: 'active' });
      await unlock();
      await Promise.all(trades);
    });
  });

  it('are the public ones for all that a request from outside begins, a renewal included', async () => {
    await world.sql(`create table writers (name text, renewing boolean)`);
    await world.sql(
      `create function note_writer() returns trigger language plpgsql as $$ begin
         insert into writers values (current_setting('application_name'), new.lease_owner is not null);
         return new; end $$`,
    );
    await world.sql(
      `create trigger note_writer after insert or update on connections for each row
       when (new.company_id in ('71', '72')) execute function note_writer()`,
    );
    const writers = async (): Promise<unknown[]> =>
      world.sql('select distinct name, renewing from writers order by 1, 2');
    try {
      await world.install(broker, '71');
      expect(await writers()).toEqual([{ name: 'token-broker public', renewing: false }]);
      // By the next look at what is due, whoever began it. So close to its end, only a renewal proves anything.
      await world.sql(
        `update connections set expires_at = broker_now() + interval '20 seconds' where company_id = '71'`,
      );
      await world.sql('truncate writers');
      await world.sql(
        `insert into uninstall_hints (provider, company_id, proof_at) values ('fynd', '71', broker_now())`,
      );
      // What was renewed is written by the one statement that all renewals share.
      await eventually(async () => (await writers()).length === 2);
      expect(await writers()).toEqual([
        { name: 'token-broker', renewing: false },
        { name: 'token-broker public', renewing: true },
      ]);
      await world.sql('truncate writers');
      expect((await world.keepKonnect(broker, '72')).status).toBe(201);
      expect(await writers()).toEqual([{ name: 'token-broker', renewing: false }]);
    } finally {
      await world.sql(
        'drop trigger note_writer on connections; drop function note_writer; drop table writers',
      );
    }
  });

  it('are no more than the pool where nothing is public, and are closed with the broker', async () => {
    const inside = await world.local({ PUBLIC_PORT: 'off' });
    expect(inside.broker.app.get<unknown>(PUBLIC_POOL)).toBeNull();
    const other = await world.local();
    await hint(other, { company_id: COMPANY });
    const open = async (): Promise<number> =>
      (
        await world.sql(`select 1 from pg_stat_activity where application_name = 'token-broker public'
                        and datname = current_database()`)
      ).length;
    const before = await open();
    await other.broker.stop();
    await eventually(async () => (await open()) < before);
    expect((await ask('GET', `${inside.api}/health/live`)).status).toBe(200);
  });
});

describe('requests in flight', () => {
  const refusals = (): Promise<number[]> => counted([broker], ['requests_limited_total{limit="public"}']);

  it('are at most 64; one more is told to come back, by a problem or a page', async () => {
    const [before = 0] = await refusals();
    await whileLocked('uninstall_hints', async (unlock) => {
      const hints = manyHints(MOST_IN_FLIGHT + 10);
      const answered: Answer[] = [];
      for (const each of hints) void each.then((answer) => answered.push(answer));
      await eventually(() => answered.length === 10);
      expect(answered.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 503));
      const [{ headers, body } = await hintOf(COMPANY)] = answered;
      expect([headers.get('retry-after'), body['code'], body['retry_after']]).toEqual(['5', 'overloaded', 5]);

      const install = `${broker.public}/fp/install?company_id=1&client_id=${API_KEY}`;
      const page = await ask('GET', install, { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' });
      expect([page.status, page.headers.get('retry-after'), page.headers.get('content-type')]).toEqual([
        503,
        '5',
        'text/html; charset=utf-8',
      ]);
      expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(page.text).toContain('Load this page again');
      expect(await refusals()).toEqual([before + 11]);
      // Nobody inside hears of it.
      expect((await world.api(broker, 'GET', TOKEN)).status).toBe(200);
      await unlock();
      const statuses = (await Promise.all(hints)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 202)).toHaveLength(MOST_IN_FLIGHT);
    });
    expect((await hintOf(COMPANY)).status).toBe(202);
  });

  it('count until their work is done, also where nobody waits for it any more', async () => {
    await whileLocked('uninstall_hints', async () => {
      const hangUp = new AbortController();
      const url = `${broker.public}/fp/uninstall`;
      const body = JSON.stringify({ company_id: COMPANY });
      const headers = { 'content-type': 'application/json' };
      const sent = Array.from({ length: MOST_IN_FLIGHT }, () =>
        fetch(url, { method: 'POST', headers, body, signal: hangUp.signal }).catch(() => undefined),
      );
      await eventually(
        async () => (await ask('HEAD', `${broker.public}/fp/auth`, { accept: 'text/html' })).status === 503,
      );
      hangUp.abort();
      await Promise.all(sent);
      expect((await hintOf(COMPANY)).status).toBe(503);
    });
    await eventually(async () => (await hintOf(COMPANY)).status === 202);
    // Every place is free again.
    const answers = await Promise.all(manyHints(MOST_IN_FLIGHT));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
  });
});

describe('a body', () => {
  const sized = (bytes: number): string =>
    JSON.stringify({ company_id: '' }).replace('""', `"${'x'.repeat(bytes - 17)}"`);

  it('from outside has at most 8 KB', async () => {
    expect(sized(100)).toHaveLength(100);
    expect((await hint(broker, sized(8 * 1024))).status).toBe(202);
    for (const path of ['/fp/uninstall', '/fp/auto_install']) {
      const headers = { 'content-type': 'application/json' };
      const { status, body } = await ask('POST', `${broker.public}${path}`, headers, sized(8 * 1024 + 1));
      expect([path, status, body['code']]).toEqual([path, 413, 'payload_too_large']);
    }
  });

  it('from inside has at most 64 KB', async () => {
    const put = async (bytes: number): Promise<number> =>
      (await world.api(broker, 'PUT', '/v1/connections/konnect/companies/1', sized(bytes))).status;
    expect([await put(64 * 1024), await put(64 * 1024 + 1)]).toEqual([400, 413]);
  });
});

describe('a connection from outside', () => {
  const sockets: Socket[] = [];
  afterEach(() => sockets.splice(0).forEach((socket) => socket.destroy()));

  function open(url: string): Socket {
    const socket = connectTo(url);
    sockets.push(socket);
    return socket;
  }

  it('that is slow with its headers or its body is cut', async () => {
    const [nothing, headers, body] = await slow;
    for (const seconds of [nothing, headers]) expect(seconds).toBeLessThan(8);
    expect(body).toBeLessThan(13);
  });

  it('that is slow with its body takes nobody’s place', async () => {
    const slow = Array.from({ length: MOST_IN_FLIGHT }, async () => {
      const socket = open(broker.public);
      socket.write(`${POST}expect: 100-continue\r\n\r\n{`);
      // The headers have been read.
      await new Promise((resolve) => socket.on('data', resolve));
    });
    await Promise.all(slow);
    expect((await hintOf(COMPANY)).status).toBe(202);
  });

  it('is one of a thousand', async () => {
    const begun = performance.now();
    let cut = 0;
    for (let opened = 0; opened < 1_020; opened += 1) open(broker.public).on('close', () => (cut += 1));
    await eventually(() => cut >= 20);
    // Long before those that say nothing are cut for that.
    expect(performance.now() - begun).toBeLessThan(4_500);
    expect((await world.api(broker, 'GET', TOKEN)).status).toBe(200);
  });
});
