import { randomBytes } from 'node:crypto';
import { KeyRing } from '../../src/vault/key-ring.js';
import { Resealing } from '../../src/vault/resealing.js';
import { eventually, type Answer, type Json } from './http.js';
import type { LocalBroker, World } from './world.js';

/** A data key as the API shows it. */
export interface ShownKey extends Json {
  readonly id: string;
  readonly state: string;
  readonly rows: number;
}

/** What an operator does with keys, over the API. */
export class KeyOperator {
  constructor(
    private readonly world: World,
    private readonly at: () => { api: string },
  ) {}

  async list(): Promise<ShownKey[]> {
    const { body } = await this.world.api(this.at(), 'GET', '/v1/keys');
    return body['items'] as ShownKey[];
  }

  /** Resolves to the new key, which is in use. */
  async rotate(): Promise<ShownKey> {
    const { status, body } = await this.world.api(this.at(), 'POST', '/v1/keys/rotate');
    if (status !== 201) throw new Error(`rotate: ${status} ${JSON.stringify(body)}`);
    return body as ShownKey;
  }

  /** Resolves when nothing is sealed by an older key, to the keys as they then are. */
  async allMoved(): Promise<ShownKey[]> {
    return eventually(async () => {
      const items = await this.list();
      return items.slice(1).every(({ state }) => state === 'retired') && items;
    });
  }
}

/** The data key that a broker seals with. */
export function sealsWith({ broker }: LocalBroker): string {
  return broker.app.get(KeyRing).newest('seal').id;
}

/** From now on a broker seals nothing anew by itself. */
export async function stopResealing({ broker }: LocalBroker): Promise<void> {
  await broker.app.get(Resealing).beforeApplicationShutdown();
}

/** A way to every success of the routes for keys, by its operation. */
export function keySuccesses(world: World, at: () => { api: string }): Record<string, () => Promise<Answer>> {
  const call = (method: string, path: string): Promise<Answer> => world.api(at(), method, `/v1/keys${path}`);
  return {
    keyList: () => call('GET', ''),
    keyRotate: () => call('POST', '/rotate'),
    keyRewrap: () => call('POST', '/rewrap'),
    keyDestroy: async () => {
      const { body } = await call('GET', '');
      const [old] = body['items'] as ShownKey[];
      await call('POST', '/rotate');
      await world.sql(`update data_keys set created_at = created_at - interval '1 hour'`);
      return call('DELETE', `/${old?.id}`);
    },
  };
}

/** A data key that a replica meets and cannot open; resolves to what takes it away again. */
export async function makeClosedKey(world: World, replica: LocalBroker): Promise<() => Promise<void>> {
  const keys = `lone:${randomBytes(32).toString('base64')},${world.environment()['ENCRYPTION_KEYS']}`;
  const stranger = await world.local({ ENCRYPTION_KEYS: keys });
  const { id } = await new KeyOperator(world, () => stranger).rotate();
  await stranger.broker.stop();
  const look = (): Promise<void> => replica.broker.app.get(Resealing).look();
  await look();
  return async () => {
    await world.sql('delete from data_keys where id = $1', [id]);
    await look();
  };
}
