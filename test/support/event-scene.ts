import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { WebhookDelivery } from '../../src/webhooks/webhook-delivery.js';
import { eventually } from './http.js';
import { findLeaks } from './leaks.js';
import { webhooksFile, WebhookReceiver } from './webhook-receiver.js';
import { API_SECRET, type LocalBroker, type World } from './world.js';

/** A broker that does nothing by itself, and somebody who is told all that happens to its connections. */
export class EventScene {
  readonly #folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  /** Holds the secret of the extension. */
  readonly secretFile = join(this.#folder, 'api-secret');
  receiver!: WebhookReceiver;
  broker!: LocalBroker;

  constructor(private readonly world: World) {}

  async open(): Promise<void> {
    this.receiver = await WebhookReceiver.start(() => this.world.clock.now());
    writeFileSync(this.secretFile, API_SECRET);
    const file = join(this.#folder, 'webhooks.yaml');
    writeFileSync(file, webhooksFile({ url: this.receiver.url, secret: this.receiver.secrets[0] }));
    this.broker = await this.world.local({
      PORTAL_BASE_URL: this.world.simulator.url,
      FYND_API_SECRET: undefined,
      FYND_API_SECRET_FILE: this.secretFile,
      WEBHOOKS_FILE: file,
    });
    // Tests look where time has leapt, and nobody else meanwhile.
    this.world.stopTicking(this.broker);
  }

  async clear(): Promise<void> {
    await this.world.settle(this.broker);
    await this.settled();
    await this.world.sql('truncate connections, provider_states, outbox_reminders');
    this.receiver.told.length = 0;
  }

  /** Nobody was told a secret. */
  async close(): Promise<void> {
    const leaks = findLeaks(this.receiver.told.map(({ text }) => text));
    await this.receiver.close();
    rmSync(this.#folder, { recursive: true, force: true });
    if (leaks.length > 0) throw new Error(`others were told a secret:\n${leaks.join('\n')}`);
  }

  /** Resolves once all that has happened is told. */
  readonly settled = async (): Promise<void> => {
    await eventually(async () => {
      await this.broker.broker.app.get(WebhookDelivery).tick();
      const left = await this.world.sql(
        `select seq from outbox_events where spread_at is null
         union all select seq from webhook_deliveries where state = 'waiting'`,
      );
      return left.length === 0;
    });
  };

  /** What was told of a connection or a provider so far, in order. */
  readonly toldOf = async (subject: unknown): Promise<string[]> => {
    await this.settled();
    return this.receiver.about(subject).map(({ type }) => type);
  };
}

/** Gives the suite that calls this a scene of its own, in which nothing has happened before each test. */
export function useEventScene(world: World): EventScene {
  const scene = new EventScene(world);
  beforeAll(() => scene.open());
  beforeEach(() => scene.clear());
  afterAll(() => scene.close());
  return scene;
}
