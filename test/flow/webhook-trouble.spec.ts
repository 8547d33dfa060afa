import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { eventually, type Json } from '../support/http.js';
import { Scrape } from '../support/metrics.js';
import { webhooksFile, WebhookReceiver } from '../support/webhook-receiver.js';
import { useWebhookScene } from '../support/webhook-scene.js';
import { useWorld } from '../support/world.js';

const DAY_S = 86_400;

describe('an event that is not taken', () => {
  const world = useWorld();
  const scene = useWebhookScene(world);
  const { call, keep, listed, look, next, standing, states, taken, until, untilTold, write } = scene;

  it('waits while its receiver is away, however long, and then comes in order: nothing is lost, and hardly anybody knocks', async () => {
    const { port } = scene.ops;
    await scene.ops.close();
    const company = next();
    const id = await keep(company);
    await keep(company, `${company}-2`);
    await keep();
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
      waiting: 4,
      dead: 0,
      last_error: 'not_reached',
      last_status: null,
    });

    scene.ops = await WebhookReceiver.start(() => world.clock.now(), [scene.secrets.ops], port);
    // What was tried often is not due for hours; as soon as one gets through, all others are tried at once.
    await keep();
    await world.advance(300);
    await until(() => scene.ops.told.length === 5);
    expect(scene.ops.about(id).map(({ type }) => type)).toEqual([
      'connection.created',
      'connection.replaced',
      'connection.revoked',
    ]);
    await until(async () => (await standing())['status'] === 'ok');
  });

  it('is held up by no other receiver: not by one that hangs, and not by one that never comes to an end', async () => {
    let begun = 0;
    scene.ops.answer = () => void (begun += 1);
    scene.audit.answer = (_, response) => {
      response.writeHead(200);
      const more = setInterval(() => response.write('x'.repeat(1_000)), 5);
      response.on('close', () => clearInterval(more));
      return undefined;
    };
    for (let n = 0; n < 12; n += 1) await keep();
    await until(() => scene.audit.told.length === 12);
    await until(async () => (await states('audit')).every((state) => state === 'delivered'));
    // As many as are told at a time, and no more.
    expect(begun).toBe(8);
  });

  it('that nobody takes for three days is given up, shown, counted, and sent again when somebody says so', async () => {
    const company = next();
    scene.ops.answer = () => 500;
    const id = await keep(company);
    await keep(company, `${company}-2`);
    for (let times = 0; times < 90 && (await states()).join() !== 'dead,dead'; times += 1) {
      await look();
      await eventually(async () => (await taken()) === 0);
      await world.advance(4 * 3_600);
    }
    expect(await states()).toEqual(['dead', 'dead']);
    const tries = scene.ops.told.length;
    expect(tries).toBeGreaterThan(20);
    expect(await standing()).toMatchObject({ waiting: 0, dead: 2, last_error: 'refused', last_status: 500 });
    const [newest, oldest] = await listed('?state=dead');
    expect(newest).toMatchObject({
      type: 'connection.replaced',
      state: 'dead',
      last_error: 'refused',
      next_try_at: null,
    });
    const scrape = await Scrape.of(scene.broker);
    expect(scrape.value('webhook_dead{receiver="ops"}')).toBe(2);
    expect(scrape.value('webhook_dead_letters_total{receiver="ops"}')).toBeGreaterThanOrEqual(2);
    expect(scrape.value('webhook_deliveries_total{receiver="ops",outcome="refused"}')).toBeGreaterThanOrEqual(
      tries,
    );
    expect(world.logs.some((line) => line.includes('could not be told for three days (refused)'))).toBe(true);

    scene.ops.answer = () => 200;
    scene.ops.told.length = 0;
    const resend = async (body: Json, name = 'ops'): Promise<unknown> =>
      (await call('POST', `/webhooks/${name}/resend`, body)).body;
    expect(await resend({ since: String(world.clock.now().toISOString()) })).toEqual({ resent: 0 });
    expect(await resend({ event_id: String(newest?.['event_id']) })).toEqual({ resent: 1 });
    await until(() => scene.ops.told.length === 1);
    expect(await resend({ since: String(oldest?.['timestamp']) })).toEqual({ resent: 1 });
    await until(() => scene.ops.told.length === 2);
    await until(async () => (await states()).every((state) => state === 'delivered'));
    expect(scene.ops.told.map((told) => told.id)).toEqual([newest?.['event_id'], oldest?.['event_id']]);
    // One that is named is sent again also where it was taken.
    expect(await resend({ event_id: String(oldest?.['event_id']) })).toEqual({ resent: 1 });
    await until(() => scene.ops.about(id).length === 3);
    const { body } = await call('GET', '/audit-events?action=provider:admin&limit=3');
    expect((body['items'] as Json[]).map(({ reason }) => reason)).toEqual(Array(3).fill('webhooks_resent'));
  });

  it('is told no more to whoever answers 410, until an operator or another address says otherwise', async () => {
    scene.ops.answer = () => 410;
    const id = await keep();
    await until(async () => (await standing())['status'] === 'disabled');
    await world.advance(DAY_S);
    await look();
    await keep();
    await look();
    expect(scene.ops.told).toHaveLength(1);
    expect((await Scrape.of(scene.other)).value('webhook_disabled{receiver="ops"}')).toBe(1);
    scene.ops.answer = () => 200;
    expect((await call('POST', '/webhooks/ops/resume')).body).toMatchObject({
      name: 'ops',
      status: 'ok',
      waiting: 2,
    });
    await untilTold();
    expect(scene.ops.about(id)).toHaveLength(2);

    scene.ops.answer = ({ path }) => (path === '/events' ? 410 : 200);
    await keep();
    await until(async () => (await standing())['status'] === 'disabled');
    // Both brokers have read the file each time, and begin the next test with what it says.
    const rereadings = scene.rereadings(2);
    const [first, second] = scene.entries();
    write({ ...first, url: `${scene.ops.url}/anew` }, second);
    await until(() => scene.ops.told.at(-1)?.path === '/events/anew');
    await until(async () => (await standing())['status'] === 'ok');
    await eventually(() => scene.rereadings(2) === rereadings + 2);
    write(first, second);
    await eventually(() => scene.rereadings(2) === rereadings + 4);
  });

  it('follows no redirect, and comes back no sooner than it was asked to', async () => {
    scene.ops.answer = (_, response) => {
      response.writeHead(302, { location: scene.audit.url }).end();
      return undefined;
    };
    await keep();
    await until(async () => (await standing())['last_error'] === 'redirected');
    expect(scene.audit.types).toEqual(['connection.created']);
    scene.ops.answer = (_, response) => {
      response.writeHead(429, { 'retry-after': '600' }).end();
      return undefined;
    };
    await world.advance(3_600);
    await until(async () => (await standing())['last_error'] === 'rate_limited');
    // On a slow machine it had come back by itself before the time was moved, and now once more.
    await eventually(async () => (await taken()) === 0);
    const told = scene.ops.told.length;
    scene.ops.answer = () => 200;
    await keep();
    await world.advance(580);
    await look();
    await eventually(async () => (await taken()) === 0);
    expect(scene.ops.told).toHaveLength(told);
    await world.advance(30);
    await untilTold();
    expect(scene.ops.told).toHaveLength(told + 2);
  });

  it('is told after a kill -9, be it before anybody was asked or in the middle of it', async () => {
    const receiver = await WebhookReceiver.start(() => world.clock.now());
    const own = join(scene.folder, 'own.yaml');
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
});
