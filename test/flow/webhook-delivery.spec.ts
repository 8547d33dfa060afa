import { writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { eventually, type Json } from '../support/http.js';
import { Scrape } from '../support/metrics.js';
import { aWebhookSecret, WebhookReceiver } from '../support/webhook-receiver.js';
import { useWebhookScene } from '../support/webhook-scene.js';
import { useWorld } from '../support/world.js';

describe('an event', () => {
  const world = useWorld();
  const scene = useWebhookScene(world);
  const { call, keep, listed, next, rereadings, standing, taken, until, untilTold, write } = scene;

  it('gets to each receiver that asked for it, and to no other', async () => {
    const company = next();
    const id = await keep(company);
    await keep(company, `${company}-new`);
    await call('DELETE', `/connections/${id}`);
    await until(() => scene.ops.told.length === 3 && scene.audit.told.length === 2);
    expect(scene.ops.types).toEqual(['connection.created', 'connection.replaced', 'connection.revoked']);
    expect(scene.audit.types).toEqual(['connection.created', 'connection.revoked']);
    expect(scene.ops.told[0]?.id).toBe(scene.audit.told[0]?.id);
    for (const each of [scene.ops, scene.audit])
      for (const told of each.told) expect(told.believedBy).toEqual(each.secrets);
    await untilTold('audit');
    expect(await listed('', 'audit')).toMatchObject([
      {
        event_id: scene.audit.told[1]?.id,
        state: 'delivered',
        attempts: 1,
        last_status: 204,
        last_error: null,
      },
      { event_id: scene.audit.told[0]?.id, state: 'delivered', data: scene.audit.told[0]?.data },
    ]);
  });

  it('is told by one of two replicas, where all is well', async () => {
    for (let n = 0; n < 40; n += 1) await keep();
    await until(() => scene.ops.told.length >= 40, [scene.broker, scene.other]);
    await until(async () => (await taken()) === 0, [scene.broker, scene.other]);
    expect(new Set(scene.ops.told.map(({ id }) => id)).size).toBe(40);
    expect(scene.ops.told).toHaveLength(40);
  });

  it('that was not taken comes again as the same, and holds up those of its connection alone', async () => {
    const company = next();
    let refusals = 2;
    scene.ops.answer = ({ data }) => (data['company_id'] === company && refusals-- > 0 ? 500 : 200);
    const id = await keep(company);
    await until(async () => (await standing())['consecutive_failures'] === 1);
    await keep(company, `${company}-new`);
    const bystander = await keep();
    await world.advance(2);
    await until(() => scene.ops.about(bystander).length === 1);
    expect(scene.ops.about(id).map(({ type }) => type)).not.toContain('connection.replaced');
    await untilTold();
    expect(scene.ops.about(id).map(({ type }) => type)).toEqual([
      'connection.created',
      'connection.created',
      'connection.created',
      'connection.replaced',
    ]);
    const [first, second] = scene.ops.about(id);
    expect([second?.id, second?.text]).toEqual([first?.id, first?.text]);
    expect(second?.believedBy).toEqual(scene.ops.secrets);
    expect(await listed('?state=delivered')).toHaveLength(3);
  });

  it('is signed with both secrets while one takes the place of the other, without a restart', async () => {
    const [newer] = [aWebhookSecret()];
    const [first, second] = scene.entries();
    const told = async (): Promise<readonly string[]> => {
      const id = await keep();
      await until(() => scene.ops.about(id).length === 1);
      return scene.ops.about(id)[0]?.believedBy ?? [];
    };
    scene.ops.secrets.push(newer);
    try {
      expect(await told()).toEqual([scene.secrets.ops]);
      write({ ...first, secret: undefined, secrets: [newer, scene.secrets.ops] }, second);
      await eventually(async () => (await told()).length === 2);
      write({ ...first, secret: newer }, second);
      await eventually(async () => (await told()).join() === newer);
      // A file that is of no use changes nothing.
      writeFileSync(scene.file, 'webhooks: [{ url: nonsense }]');
      await eventually(() => world.logs.some((line) => line.includes('receiver 1: url must be')));
      expect(await told()).toEqual([newer]);
    } finally {
      write(first, second);
      await eventually(async () => (await told()).join() === scene.secrets.ops);
      scene.ops.secrets.pop();
    }
  });

  it('of the time before a receiver was there is not told to it, and of the time when nobody could tell it is', async () => {
    const late = await WebhookReceiver.start(() => world.clock.now());
    const [first, second] = scene.entries();
    try {
      const early = await keep();
      const withIt = rereadings(3);
      write(first, second, { name: 'late', url: late.url, secret: late.secrets[0], events: ['*'] });
      await eventually(() => rereadings(3) > withIt);
      await until(() => scene.ops.about(early).length === 1);
      expect(await standing('late')).toMatchObject({ waiting: 0, status: 'ok' });
      const withoutIt = rereadings(2);
      write(first, second);
      await until(() => rereadings(2) > withoutIt);
      const id = await keep();
      await until(() => scene.ops.about(id).length === 1);
      write(first, second, { name: 'late', url: late.url, secret: late.secrets[0], events: ['*'] });
      await until(() => late.told.length > 0);
      expect(late.told.map(({ data }) => data['connection_id'])).toEqual([id]);
    } finally {
      write(first, second);
      await late.close();
    }
  });

  describe('for an operator', () => {
    it('is found page by page, and a receiver that does not exist is not', async () => {
      for (let n = 0; n < 5; n += 1) await keep();
      await until(() => scene.ops.told.length === 5);
      const seen: unknown[] = [];
      let cursor: unknown = '';
      do {
        const { body } = await call(
          'GET',
          `/webhooks/ops/deliveries?limit=2${cursor === '' ? '' : `&cursor=${String(cursor)}`}`,
        );
        seen.push(...(body['items'] as Json[]).map((item) => item['event_id']));
        cursor = body['next_cursor'];
      } while (cursor !== null);
      expect(new Set(seen)).toEqual(new Set(scene.ops.told.map(({ id }) => id)));
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
      const key = (await world.client(scene.broker, 'connection:read **')).key;
      expect((await world.api(scene.broker, 'GET', '/v1/webhooks', undefined, key)).status).toBe(403);
    });

    it('that waits is a number', async () => {
      scene.ops.answer = () => 503;
      await keep();
      await until(async () => (await standing())['status'] === 'failing');
      await world.advance(500);
      const scrape = await Scrape.of(scene.broker);
      expect(scrape.value('webhook_waiting{receiver="ops"}')).toBe(1);
      expect(scrape.value('webhook_oldest_waiting_seconds{receiver="ops"}')).toBeGreaterThan(499);
      expect(scrape.value('webhook_waiting{receiver="audit"}')).toBe(0);
      expect(scrape.value('outbox_waiting')).toBe(0);
    });
  });
});
