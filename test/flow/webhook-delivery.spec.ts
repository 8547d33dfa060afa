import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { WebhookDelivery } from '../../src/webhooks/webhook-delivery.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { Scrape } from '../support/metrics.js';
import { aWebhookSecret, webhooksFile, WebhookReceiver } from '../support/webhook-receiver.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const DAY_S = 86_400;

describe('an event', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const file = join(folder, 'webhooks.yaml');
  const secrets = { ops: aWebhookSecret(), audit: aWebhookSecret() };
  let ops: WebhookReceiver;
  let audit: WebhookReceiver;
  let broker: LocalBroker;
  let other: LocalBroker;
  let companies = 100;

  const entries = (): [Json, Json] => [
    { name: 'ops', url: ops.url, secret: secrets.ops, events: ['connection.*'] },
    {
      name: 'audit',
      url: audit.url,
      secret: secrets.audit,
      events: ['connection.created', 'connection.revoked'],
    },
  ];
  /** As an orchestrator changes a mounted file, in one step. */
  function write(...receivers: readonly Json[]): void {
    writeFileSync(`${file}.new`, webhooksFile(...receivers));
    renameSync(`${file}.new`, file);
  }

  beforeAll(async () => {
    const start = (secret: string): Promise<WebhookReceiver> =>
      WebhookReceiver.start(() => world.clock.now(), [secret]);
    ops = await start(secrets.ops);
    audit = await start(secrets.audit);
    write(...entries());
    [broker, other] = [
      await world.local({ WEBHOOKS_FILE: file }),
      await world.local({ WEBHOOKS_FILE: file }),
    ];
    for (const each of [broker, other]) world.stopTicking(each);
  });

  beforeEach(async () => {
    await world.sql('truncate connections, outbox_events cascade');
    await world.sql(
      'update webhook_receivers set failures = 0, closed_until = null, probe_until = null, disabled_at = null',
    );
    for (const each of [ops, audit]) {
      each.told.length = 0;
      each.answer = () => 204;
    }
  });

  afterEach(async () => {
    // What hangs ends here.
    for (const each of [ops, audit]) each.cut();
    await eventually(async () => (await taken()) === 0);
  });

  afterAll(async () => {
    await Promise.all([ops.close(), audit.close()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const next = (): string => String(++companies);
  const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
    world.api(broker, method, `/v1${path}`, body);
  const look = (at = broker): Promise<void> => at.broker.app.get(WebhookDelivery).tick();
  const keep = async (company = next(), name = company): Promise<string> =>
    String((await world.keepKonnect(broker, company, name)).body['id']);
  const taken = async (): Promise<number> =>
    (await world.sql('select 1 from webhook_deliveries where taken_until > broker_now()')).length;
  const states = async (receiver = 'ops'): Promise<string[]> =>
    (
      await world.sql<{ state: string }>(
        'select state from webhook_deliveries where receiver = $1 order by seq',
        [receiver],
      )
    ).map(({ state }) => state);
  const standing = async (name = 'ops'): Promise<Json> =>
    ((await call('GET', '/webhooks')).body['items'] as Json[]).find((it) => it['name'] === name) ?? {};
  const listed = async (query: string, name = 'ops'): Promise<Json[]> =>
    (await call('GET', `/webhooks/${name}/deliveries${query}`)).body['items'] as Json[];

  /** How often brokers have read the file again, and found so many receivers in it. */
  const rereadings = (receivers: number): number =>
    world.logs.filter((line) => line.includes(`the file was read again: ${receivers} receivers`)).length;

  /** Looks until this is so. */
  async function until(isSo: () => boolean | Promise<boolean>, brokers = [broker]): Promise<void> {
    await eventually(async () => {
      await Promise.all(brokers.map(look));
      return isSo();
    });
  }

  /** Lets time go by until there is nothing left to be told. */
  async function untilTold(receiver = 'ops'): Promise<void> {
    for (let times = 0; times < 60; times += 1) {
      await look();
      await eventually(async () => (await taken()) === 0);
      if (!(await states(receiver)).includes('waiting')) return;
      await world.advance(3_600);
    }
    throw new Error('something is still to be told');
  }

  it('gets to each receiver that asked for it, and to no other', async () => {
    const company = next();
    const id = await keep(company);
    await keep(company, `${company}-new`);
    await call('DELETE', `/connections/${id}`);
    await until(() => ops.told.length === 3 && audit.told.length === 2);
    expect(ops.types).toEqual(['connection.created', 'connection.replaced', 'connection.revoked']);
    expect(audit.types).toEqual(['connection.created', 'connection.revoked']);
    expect(ops.told[0]?.id).toBe(audit.told[0]?.id);
    for (const each of [ops, audit])
      for (const told of each.told) expect(told.believedBy).toEqual(each.secrets);
    await untilTold('audit');
    expect(await listed('', 'audit')).toMatchObject([
      { event_id: audit.told[1]?.id, state: 'delivered', attempts: 1, last_status: 204, last_error: null },
      { event_id: audit.told[0]?.id, state: 'delivered', data: audit.told[0]?.data },
    ]);
  });

  it('is told by one of two replicas, where all is well', async () => {
    for (let n = 0; n < 40; n += 1) await keep();
    await until(() => ops.told.length >= 40, [broker, other]);
    await until(async () => (await taken()) === 0, [broker, other]);
    expect(new Set(ops.told.map(({ id }) => id)).size).toBe(40);
    expect(ops.told).toHaveLength(40);
  });

  it('that was not taken comes again as the same, and holds up those of its connection alone', async () => {
    const company = next();
    let refusals = 2;
    ops.answer = ({ data }) => (data['company_id'] === company && refusals-- > 0 ? 500 : 200);
    const id = await keep(company);
    await until(async () => (await standing())['consecutive_failures'] === 1);
    await keep(company, `${company}-new`);
    const bystander = await keep();
    await world.advance(2);
    await until(() => ops.about(bystander).length === 1);
    expect(ops.about(id).map(({ type }) => type)).not.toContain('connection.replaced');
    await untilTold();
    expect(ops.about(id).map(({ type }) => type)).toEqual([
      'connection.created',
      'connection.created',
      'connection.created',
      'connection.replaced',
    ]);
    const [first, second] = ops.about(id);
    expect([second?.id, second?.text]).toEqual([first?.id, first?.text]);
    expect(second?.believedBy).toEqual(ops.secrets);
    expect(await listed('?state=delivered')).toHaveLength(3);
  });

  it('waits while its receiver is away, however long, and then comes in order: nothing is lost, and hardly anybody knocks', async () => {
    const { port } = ops;
    await ops.close();
    const company = next();
    const id = await keep(company);
    await keep(company, `${company}-2`);
    for (let n = 0; n < 20; n += 1) await keep();
    await call('DELETE', `/connections/${id}`);
    for (let hours = 0; hours < 40; hours += 1) {
      await look();
      await eventually(async () => (await taken()) === 0);
      await world.advance(3_600);
    }
    const [{ tries } = { tries: NaN }] = await world.sql<{ tries: number }>(
      `select sum(attempts)::integer as tries from webhook_deliveries where receiver = 'ops'`,
    );
    expect(tries).toBeGreaterThan(10);
    expect(tries).toBeLessThan(60);
    expect(await standing()).toMatchObject({
      status: 'failing',
      waiting: 23,
      dead: 0,
      last_error: 'not_reached',
      last_status: null,
    });

    ops = await WebhookReceiver.start(() => world.clock.now(), [secrets.ops], port);
    await world.advance(300);
    // As soon as one gets through, all others are tried at once.
    await until(() => ops.told.length === 23);
    expect(ops.about(id).map(({ type }) => type)).toEqual([
      'connection.created',
      'connection.replaced',
      'connection.revoked',
    ]);
    await until(async () => (await standing())['status'] === 'ok');
  });

  it('is held up by no other receiver: not by one that hangs, and not by one that never comes to an end', async () => {
    let begun = 0;
    ops.answer = () => void (begun += 1);
    audit.answer = (_, response) => {
      response.writeHead(200);
      const more = setInterval(() => response.write('x'.repeat(1_000)), 5);
      response.on('close', () => clearInterval(more));
      return undefined;
    };
    for (let n = 0; n < 12; n += 1) await keep();
    await until(() => audit.told.length === 12);
    await until(async () => (await states('audit')).every((state) => state === 'delivered'));
    // As many as are told at a time, and no more.
    expect(begun).toBe(8);
  });

  it('is signed with both secrets while one takes the place of the other, without a restart', async () => {
    const [newer] = [aWebhookSecret()];
    const [first, second] = entries();
    const told = async (): Promise<readonly string[]> => {
      const id = await keep();
      await until(() => ops.about(id).length === 1);
      return ops.about(id)[0]?.believedBy ?? [];
    };
    ops.secrets.push(newer);
    try {
      expect(await told()).toEqual([secrets.ops]);
      write({ ...first, secret: undefined, secrets: [newer, secrets.ops] }, second);
      await eventually(async () => (await told()).length === 2);
      write({ ...first, secret: newer }, second);
      await eventually(async () => (await told()).join() === newer);
      // A file that is of no use changes nothing.
      writeFileSync(file, 'webhooks: [{ url: nonsense }]');
      await eventually(() => world.logs.some((line) => line.includes('receiver 1: url must be')));
      expect(await told()).toEqual([newer]);
    } finally {
      write(first, second);
      await eventually(async () => (await told()).join() === secrets.ops);
      ops.secrets.pop();
    }
  });

  it('that nobody takes for three days is given up, shown, counted, and sent again when somebody says so', async () => {
    const company = next();
    ops.answer = () => 500;
    const id = await keep(company);
    await keep(company, `${company}-2`);
    for (let times = 0; times < 90 && (await states()).join() !== 'dead,dead'; times += 1) {
      await look();
      await eventually(async () => (await taken()) === 0);
      await world.advance(4 * 3_600);
    }
    expect(await states()).toEqual(['dead', 'dead']);
    const tries = ops.told.length;
    expect(tries).toBeGreaterThan(20);
    expect(await standing()).toMatchObject({ waiting: 0, dead: 2, last_error: 'refused', last_status: 500 });
    const [newest, oldest] = await listed('?state=dead');
    expect(newest).toMatchObject({
      type: 'connection.replaced',
      state: 'dead',
      last_error: 'refused',
      next_try_at: null,
    });
    const scrape = await Scrape.of(broker);
    expect(scrape.value('webhook_dead{receiver="ops"}')).toBe(2);
    expect(scrape.value('webhook_dead_letters_total{receiver="ops"}')).toBeGreaterThanOrEqual(2);
    expect(scrape.value('webhook_deliveries_total{receiver="ops",outcome="refused"}')).toBeGreaterThanOrEqual(
      tries,
    );
    expect(world.logs.some((line) => line.includes('could not be told for three days (refused)'))).toBe(true);

    ops.answer = () => 200;
    ops.told.length = 0;
    const resend = async (body: Json, name = 'ops'): Promise<unknown> =>
      (await call('POST', `/webhooks/${name}/resend`, body)).body;
    expect(await resend({ since: String(world.clock.now().toISOString()) })).toEqual({ resent: 0 });
    expect(await resend({ event_id: String(newest?.['event_id']) })).toEqual({ resent: 1 });
    await until(() => ops.told.length === 1);
    expect(await resend({ since: String(oldest?.['timestamp']) })).toEqual({ resent: 1 });
    await until(() => ops.told.length === 2);
    await until(async () => (await states()).every((state) => state === 'delivered'));
    expect(ops.told.map((told) => told.id)).toEqual([newest?.['event_id'], oldest?.['event_id']]);
    // One that is named is sent again also where it was taken.
    expect(await resend({ event_id: String(oldest?.['event_id']) })).toEqual({ resent: 1 });
    await until(() => ops.about(id).length === 3);
    const { body } = await call('GET', '/audit-events?action=provider:admin&limit=3');
    expect((body['items'] as Json[]).map(({ reason }) => reason)).toEqual(Array(3).fill('webhooks_resent'));
  });

  it('is told no more to whoever answers 410, until an operator or another address says otherwise', async () => {
    ops.answer = () => 410;
    const id = await keep();
    await until(async () => (await standing())['status'] === 'disabled');
    await world.advance(DAY_S);
    await look();
    await keep();
    await look();
    expect(ops.told).toHaveLength(1);
    expect((await Scrape.of(other)).value('webhook_disabled{receiver="ops"}')).toBe(1);
    ops.answer = () => 200;
    expect((await call('POST', '/webhooks/ops/resume')).body).toMatchObject({
      name: 'ops',
      status: 'ok',
      waiting: 2,
    });
    await untilTold();
    expect(ops.about(id)).toHaveLength(2);

    ops.answer = ({ path }) => (path === '/events' ? 410 : 200);
    await keep();
    await until(async () => (await standing())['status'] === 'disabled');
    const [first, second] = entries();
    write({ ...first, url: `${ops.url}/anew` }, second);
    await until(() => ops.told.at(-1)?.path === '/events/anew');
    write(first, second);
    await until(async () => (await standing())['status'] === 'ok');
  });

  it('follows no redirect, and comes back no sooner than it was asked to', async () => {
    ops.answer = (_, response) => {
      response.writeHead(302, { location: audit.url }).end();
      return undefined;
    };
    await keep();
    await until(async () => (await standing())['last_error'] === 'redirected');
    expect(audit.types).toEqual(['connection.created']);
    ops.answer = (_, response) => {
      response.writeHead(429, { 'retry-after': '600' }).end();
      return undefined;
    };
    await world.advance(3_600);
    await until(() => ops.told.length === 2);
    await until(async () => (await standing())['last_error'] === 'rate_limited');
    ops.answer = () => 200;
    await keep();
    await world.advance(580);
    await look();
    await eventually(async () => (await taken()) === 0);
    expect(ops.told).toHaveLength(2);
    await world.advance(30);
    await untilTold();
    expect(ops.told).toHaveLength(4);
  });

  it('of the time before a receiver was there is not told to it, and of the time when nobody could tell it is', async () => {
    await keep();
    await until(() => ops.told.length === 1);
    const late = await WebhookReceiver.start(() => world.clock.now());
    const [first, second] = entries();
    try {
      write(first, second, { name: 'late', url: late.url, secret: late.secrets[0], events: ['*'] });
      await until(async () => (await standing('late'))['name'] === 'late');
      const withoutIt = rereadings(2);
      write(first, second);
      await until(() => rereadings(2) > withoutIt);
      const id = await keep();
      await until(() => ops.about(id).length === 1);
      write(first, second, { name: 'late', url: late.url, secret: late.secrets[0], events: ['*'] });
      await until(() => late.told.length > 0);
      expect(late.told.map(({ data }) => data['connection_id'])).toEqual([id]);
    } finally {
      write(first, second);
      await late.close();
    }
  });

  it('is told after a kill -9, be it before anybody was asked or in the middle of it', async () => {
    const receiver = await WebhookReceiver.start(() => world.clock.now());
    const own = join(folder, 'own.yaml');
    writeFileSync(own, webhooksFile({ name: 'own', url: receiver.url, secret: receiver.secrets[0] }));
    try {
      receiver.answer = () => undefined;
      const doomed = await world.replica({ WEBHOOKS_FILE: own });
      const keepAt = async (name: string): Promise<unknown> =>
        (await world.keepKonnect(doomed, name)).body['id'];
      const asked = await keepAt(next());
      await eventually(() => receiver.about(asked).length === 1);
      const unasked = await keepAt(next());
      doomed.signal('SIGKILL');
      await doomed.ended();
      await world.sql(
        `delete from webhook_deliveries d using outbox_events e where e.seq = d.seq and e.subject = $1`,
        [unasked],
      );
      await world.sql(`update outbox_events set spread_at = null where subject = $1`, [unasked]);
      receiver.answer = () => 200;
      await world.local({ WEBHOOKS_FILE: own });
      await eventually(() => receiver.about(unasked).length === 1);
      // Nobody knows whether it was taken: it comes again as the same, once whoever held it is surely gone.
      expect(receiver.about(asked)).toHaveLength(1);
      await world.advance(61);
      await eventually(() => receiver.about(asked).length === 2);
      const [first, second] = receiver.about(asked);
      expect(second?.id).toBe(first?.id);
      expect(second?.believedBy).toEqual(receiver.secrets);
    } finally {
      await receiver.close();
    }
  });

  describe('for an operator', () => {
    it('is found page by page, and a receiver that does not exist is not', async () => {
      for (let n = 0; n < 5; n += 1) await keep();
      await until(() => ops.told.length === 5);
      const seen: unknown[] = [];
      let cursor = '';
      do {
        const { body } = await call('GET', `/webhooks/ops/deliveries?limit=2${cursor}`);
        seen.push(...(body['items'] as Json[]).map((item) => item['event_id']));
        cursor = body['next_cursor'] === null ? '' : `&cursor=${String(body['next_cursor'])}`;
      } while (cursor !== '');
      expect(new Set(seen)).toEqual(new Set(ops.told.map(({ id }) => id)));
      expect(seen).toHaveLength(5);
      for (const [method, path] of [
        ['GET', '/webhooks/nobody/deliveries'],
        ['POST', '/webhooks/nobody/resume'],
        ['POST', '/webhooks/nobody/resend'],
      ] as const) {
        const { status, body } = await call(method, path, method === 'POST' ? {} : undefined);
        expect([path, status, body['code']]).toEqual([path, 404, 'not_found']);
      }
      for (const path of [
        '/webhooks/ops/deliveries?state=lost',
        '/webhooks/ops/deliveries?cursor=x',
        '/webhooks/a%20b/deliveries',
      ])
        expect([path, (await call('GET', path)).status]).toEqual([path, 400]);
      expect((await call('POST', '/webhooks/ops/resend', { event_id: 'x' })).status).toBe(400);
      const key = (await world.client(broker, 'connection:read **')).key;
      expect((await world.api(broker, 'GET', '/v1/webhooks', undefined, key)).status).toBe(403);
    });

    it('that waits is a number', async () => {
      ops.answer = () => 503;
      await keep();
      await until(async () => (await standing())['status'] === 'failing');
      await world.advance(500);
      const scrape = await Scrape.of(broker);
      expect(scrape.value('webhook_waiting{receiver="ops"}')).toBe(1);
      expect(scrape.value('webhook_oldest_waiting_seconds{receiver="ops"}')).toBeGreaterThan(499);
      expect(scrape.value('webhook_waiting{receiver="audit"}')).toBe(0);
      expect(scrape.value('outbox_waiting')).toBe(0);
    });
  });
});
