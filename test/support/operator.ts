import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { ObservationKeeper } from '../../src/token/observation-keeper.js';
import { eventually, type Answer, type Json } from './http.js';
import { API_SECRET, type LocalBroker, type World } from './world.js';

/** The statuses of the connections of a provider that has none. */
export const NO_CONNECTIONS = { active: 0, suspect: 0, reauthorization_required: 0, paused: 0, revoked: 0 };

/** Somebody who looks after providers: with two replicas, the first of which has its client secret in a file. */
export class Operator {
  broker!: LocalBroker;
  other!: LocalBroker;
  readonly #folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  readonly #secretFile = join(this.#folder, 'api-secret');

  constructor(private readonly world: World) {}

  async open(): Promise<void> {
    writeFileSync(this.#secretFile, API_SECRET);
    this.broker = await this.world.local({
      FYND_API_SECRET: undefined,
      FYND_API_SECRET_FILE: this.#secretFile,
    });
    this.other = await this.world.local();
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Nothing is known of any provider, and there is no connection. */
  async begin(): Promise<void> {
    await this.settle();
    // What was seen in the test before is not to be written into this one.
    for (const { broker } of [this.broker, this.other]) await broker.app.get(ObservationKeeper).write();
    await this.world.sql('truncate connections, provider_states');
    // A reset has set the simulator's clock back, and how far it is off is looked at.
    const aheadS = (this.world.clock.now().getTime() - Date.now()) / 1_000;
    await this.world.simulator.control('POST', 'clock', { advance_s: Math.max(0, aheadS) });
  }

  async settle(): Promise<void> {
    for (const each of [this.broker, this.other]) await this.world.settle(each);
  }

  async act(name: string, action: string, at = this.broker): Promise<Answer> {
    return this.world.api(at, 'POST', `/v1/providers/${name}/${action}`);
  }

  /** A provider as the list shows it. */
  async look(name: string, at = this.broker): Promise<Json> {
    const { body } = await this.world.api(at, 'GET', '/v1/providers');
    const found = (body['items'] as Json[]).find((item) => item['name'] === name);
    if (!found) throw new Error(`${name} is not listed`);
    return found;
  }

  async row(companyId = '42'): Promise<Json> {
    const [found] = await this.world.sql<Json>('select * from connections where company_id = $1', [
      companyId,
    ]);
    return found ?? {};
  }

  async renewNow(companyId = '42'): Promise<Answer> {
    const { id } = await this.row(companyId);
    return this.world.api(this.broker, 'POST', `/v1/connections/${String(id)}/renew`);
  }

  /** The first replica gets another client secret; its file is looked at once a second. */
  async changeSecret(secret: string): Promise<void> {
    writeFileSync(this.#secretFile, secret);
    const registry = this.broker.broker.app.get(ProviderRegistry);
    await eventually(() =>
      registry.get('fynd').credentialsInForce().reveal().includes(JSON.stringify(secret)),
    );
  }
}

/** Gives the suite that calls this an operator, before each of whose tests nothing is known. */
export function useOperator(world: World): Operator {
  const operator = new Operator(world);
  beforeAll(() => operator.open());
  beforeEach(() => operator.begin());
  afterAll(() => operator.close());
  return operator;
}
