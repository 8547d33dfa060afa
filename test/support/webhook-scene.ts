import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { WebhookDelivery } from '../../src/webhooks/webhook-delivery.js';
import { eventually, type Answer, type Json } from './http.js';
import { aWebhookSecret, webhooksFile, WebhookReceiver } from './webhook-receiver.js';
import type { LocalBroker, World } from './world.js';

/** Two receivers, and two brokers that tell them what happens, but only where a test has them look. */
export class WebhookScene {
  readonly folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  readonly file = join(this.folder, 'webhooks.yaml');
  readonly secrets = { ops: aWebhookSecret(), audit: aWebhookSecret() };
  /** Is told all of connections. */
  ops!: WebhookReceiver;
  /** Is told which are made and which are revoked. */
  audit!: WebhookReceiver;
  broker!: LocalBroker;
  other!: LocalBroker;
  #companies = 100;

  constructor(private readonly world: World) {}

  async open(): Promise<void> {
    const start = (secret: string): Promise<WebhookReceiver> =>
      WebhookReceiver.start(() => this.world.clock.now(), [secret]);
    this.ops = await start(this.secrets.ops);
    this.audit = await start(this.secrets.audit);
    this.write(...this.entries());
    this.broker = await this.world.local({ WEBHOOKS_FILE: this.file });
    this.other = await this.world.local({ WEBHOOKS_FILE: this.file });
    for (const each of [this.broker, this.other]) this.world.stopTicking(each);
  }

  async clear(): Promise<void> {
    await this.world.sql('truncate connections, outbox_events cascade');
    await this.world.sql(
      'update webhook_receivers set failures = 0, closed_until = null, probe_until = null, disabled_at = null',
    );
    for (const each of [this.ops, this.audit]) {
      each.told.length = 0;
      each.answer = () => 204;
    }
  }

  /** Ends what hangs. */
  async cut(): Promise<void> {
    for (const each of [this.ops, this.audit]) each.cut();
    await eventually(async () => (await this.taken()) === 0);
  }

  async close(): Promise<void> {
    await Promise.all([this.ops.close(), this.audit.close()]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  entries(): [Json, Json] {
    return [
      { name: 'ops', url: this.ops.url, secret: this.secrets.ops, events: ['connection.*'] },
      {
        name: 'audit',
        url: this.audit.url,
        secret: this.secrets.audit,
        events: ['connection.created', 'connection.revoked'],
      },
    ];
  }

  /** As an orchestrator changes a mounted file, in one step. */
  readonly write = (...receivers: readonly Json[]): void => {
    writeFileSync(`${this.file}.new`, webhooksFile(...receivers));
    renameSync(`${this.file}.new`, this.file);
  };

  readonly next = (): string => String(++this.#companies);

  readonly call = (method: string, path: string, body?: unknown): Promise<Answer> =>
    this.world.api(this.broker, method, `/v1${path}`, body);

  readonly look = (at = this.broker): Promise<void> => at.broker.app.get(WebhookDelivery).tick();

  /** A look, with all that it begins. */
  async lookOnce(): Promise<void> {
    await this.look();
    await eventually(async () => (await this.taken()) === 0);
  }

  /** Keeps a credential of a company; the id of its connection. */
  readonly keep = async (company = this.next(), name = company): Promise<string> =>
    String((await this.world.keepKonnect(this.broker, company, name)).body['id']);

  /** Deliveries that are under way. */
  readonly taken = async (): Promise<number> =>
    (await this.world.sql('select 1 from webhook_deliveries where taken_until > broker_now()')).length;

  readonly states = async (receiver = 'ops'): Promise<string[]> => {
    const text = 'select state from webhook_deliveries where receiver = $1 order by seq';
    return (await this.world.sql<{ state: string }>(text, [receiver])).map(({ state }) => state);
  };

  readonly standing = async (name = 'ops'): Promise<Json> =>
    ((await this.call('GET', '/webhooks')).body['items'] as Json[]).find((it) => it['name'] === name) ?? {};

  readonly listed = async (query: string, name = 'ops'): Promise<Json[]> =>
    (await this.call('GET', `/webhooks/${name}/deliveries${query}`)).body['items'] as Json[];

  /** How often brokers have read the file again, and found so many receivers in it. */
  readonly rereadings = (receivers: number): number =>
    this.world.logs.filter((line) => line.includes(`the file was read again: ${receivers} receivers`)).length;

  /** Looks until this is so. */
  readonly until = async (isSo: () => boolean | Promise<boolean>, brokers = [this.broker]): Promise<void> => {
    await eventually(async () => {
      await Promise.all(brokers.map(this.look));
      return isSo();
    });
  };

  /** Lets time go by until there is nothing left to be told. */
  readonly untilTold = async (receiver = 'ops'): Promise<void> => {
    for (let times = 0; times < 60; times += 1) {
      await this.lookOnce();
      if (!(await this.states(receiver)).includes('waiting')) return;
      await this.world.advance(3_600);
    }
    throw new Error('something is still to be told');
  };
}

/** Gives the suite that calls this a scene of its own; all is well and nothing has happened before each test. */
export function useWebhookScene(world: World): WebhookScene {
  const scene = new WebhookScene(world);
  beforeAll(() => scene.open());
  beforeEach(() => scene.clear());
  afterEach(() => scene.cut());
  afterAll(() => scene.close());
  return scene;
}
