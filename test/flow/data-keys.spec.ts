import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SealedWork } from '../../src/vault/sealed-work.js';
import { Resealing } from '../../src/vault/resealing.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Crowd } from '../support/crowd.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { KeyOperator, sealsWith, stopResealing } from '../support/keys.js';
import type { Replica } from '../support/replica.js';
import { beginSession } from '../support/sessions.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const ROWS = 2_000;

describe('a data key', () => {
  const world = useWorld();
  let broker: LocalBroker;
  /** Has a key ring of its own, and seals nothing anew by itself. */
  let idle: LocalBroker;
  const keys = new KeyOperator(world, () => broker);
  const crowd = new Crowd(world, () => idle);

  beforeAll(async () => {
    broker = await world.local({ KEY_ROTATION_RATE: '100000' });
    idle = await world.local();
    await stopResealing(idle);
    for (const one of [broker, idle]) await one.broker.app.get(RenewalSchedule).stop();
  });
  beforeEach(async () => {
    await world.sql('delete from connections');
    await world.sql('delete from online_sessions');
    await keys.allMoved();
  });

  const fetchOf = (company: string, at: { api: string } = broker): Promise<Answer> =>
    world.api(at, 'GET', `/v1/tokens/konnect/companies/${company}`);

  async function rowOf(company: string): Promise<Json> {
    const [row] = await world.sql<Json>('select * from connections where company_id = $1', [company]);
    return row ?? {};
  }

  describe('that is replaced', () => {
    it('leaves every token as it was, sealed anew, with nothing else of its row changed', async () => {
      for (const company of ['1', '2', '3']) await world.keepKonnect(broker, company);
      const before = await rowOf('1');
      const token = (await fetchOf('1')).body['access_token'];
      const [former] = await keys.list();
      expect(former).toMatchObject({ state: 'active', rows: 3 });

      const { id } = await keys.rotate();
      const [now, old] = await keys.allMoved();
      expect([now, old]).toMatchObject([
        { id, state: 'active', rows: 3 },
        { id: former?.id, state: 'retired', rows: 0 },
      ]);
      const after = await rowOf('1');
      const changed = Object.keys(after).filter((name) => String(after[name]) !== String(before[name]));
      expect(changed.sort()).toEqual([
        'sealed_grant',
        'sealed_grant_key',
        'sealed_token',
        'sealed_token_key',
      ]);
      for (const column of ['sealed_grant', 'sealed_token'])
        expect((after[column] as Buffer).toString('hex', 1, 17)).toBe(id.replaceAll('-', ''));
      expect((await fetchOf('1', idle)).body).toMatchObject({ access_token: token, version: 1 });
      // The grant opens, too.
      const renewed = await world.api(idle, 'POST', `/v1/connections/${String(after['id'])}/renew`);
      expect([renewed.status, renewed.body['token_version']]).toEqual([200, 2]);
    });

    it('seals nothing new from then on, at any replica', async () => {
      const { id } = await keys.rotate();
      expect(sealsWith(broker)).toBe(id);
      await eventually(() => sealsWith(idle) === id);
      await world.keepKonnect(idle, '4');
      expect(await rowOf('4')).toMatchObject({ sealed_token_key: id, sealed_grant_key: id });
    });

    it('is found by a replica that hears nothing, where a row was sealed by its successor', async () => {
      const deaf = await world.local({ DATABASE_NOTIFICATIONS: 'off' });
      world.stopTicking(deaf);
      const former = sealsWith(deaf);
      await keys.rotate();
      await world.keepKonnect(broker, '5');
      expect(sealsWith(deaf)).toBe(former);
      expect((await fetchOf('5', deaf)).status).toBe(200);
      expect(sealsWith(deaf)).toBe(sealsWith(broker));
      await deaf.broker.stop();
    });

    it('is replaced for sessions and for what is owed, too', async () => {
      const session = await beginSession(world, broker, { companyId: '6' });
      const path = `/v1/tokens/fynd/sessions/${session.id}?company_id=6`;
      const token = (await world.api(broker, 'GET', path)).body['access_token'];
      expect(token).toBeDefined();
      const { id } = await keys.rotate();
      await keys.allMoved();
      expect(await world.sql('select sealed_token_key as key from online_sessions')).toEqual([{ key: id }]);
      expect((await world.api(idle, 'GET', path)).body['access_token']).toBe(token);
    });

    it('while a renewal is out: what that brings is kept, and opens', async () => {
      const { body } = await world.keepKonnect(broker, '7');
      await world.simulator.fault({
        provider: 'konnect',
        username: '7',
        times: 1,
        hold_until_released: true,
      });
      const renewing = world.api(idle, 'POST', `/v1/connections/${String(body['id'])}/renew`);
      await eventually(async () => (await rowOf('7'))['lease_owner'] !== null);
      await keys.rotate();
      await keys.allMoved();
      await world.simulator.control('POST', 'release');
      expect((await renewing).status).toBe(200);
      expect(await rowOf('7')).toMatchObject({ token_version: 2, status: 'active', lease_owner: null });
      await keys.allMoved();
      expect((await fetchOf('7')).body).toMatchObject({ version: 2, stale: false });
    });

    it('waits for no row that somebody has locked, and comes back to it', async () => {
      await world.keepKonnect(broker, '9');
      await world.keepKonnect(broker, '10');
      await world.sql('begin');
      await world.sql(`select 1 from connections where company_id = '9' for update`);
      await keys.rotate();
      await eventually(async () => (await keys.list())[1]?.rows === 1);
      await world.sql('commit');
      await broker.broker.app.get(Resealing).tick();
      await keys.allMoved();
    });

    it('by a replica that is killed meanwhile: others go on where it was, and nothing fails', async () => {
      await crowd.ofKonnect(ROWS, {
        provider: 'konnect',
        first: 1_000,
        expiresInS: 86_400,
        renewInS: 80_000,
      });
      const start = (): Promise<Replica> => world.replica({ KEY_ROTATION_RATE: '200' });
      const [first, second] = await Promise.all([start(), start()]);
      await stopResealing(broker);
      const { id } = await keys.rotate();
      const left = async (): Promise<number> => (await keys.list())[1]?.rows ?? NaN;
      const failed: number[] = [];
      let isDone = false;
      const fetching = (async () => {
        for (let count = 0; !isDone; count += 1) {
          const { status } = await fetchOf(String(1_000 + (count % ROWS)), count % 2 ? second : idle);
          if (status !== 200) failed.push(status);
        }
      })();
      await eventually(async () => (await left()) < ROWS - 100);
      first.signal('SIGKILL');
      await eventually(async () => (await left()) < ROWS - 400);
      second.signal('SIGSTOP');
      const third = await world.replica({ KEY_ROTATION_RATE: '100000' });
      await keys.allMoved();
      second.signal('SIGCONT');
      isDone = true;
      await fetching;
      expect(failed).toEqual([]);
      const [count] = await world.sql(
        `select count(*)::integer as rows from connections where sealed_token_key = $1 and sealed_grant_key = $1`,
        [id],
      );
      expect(count).toEqual({ rows: ROWS });
      for (const company of [1_000, 1_500, 2_999])
        expect((await fetchOf(String(company), third)).status).toBe(200);
      await Promise.all([second.stop(), third.stop()]);
    });

    it.each([
      ['another token', 'token_version = token_version + 1'],
      ['another grant', 'grant_version = grant_version + 1'],
      ['other bytes', `sealed_grant = sealed_grant || '\\x00'`],
    ])('brings nothing back where a row has got %s since it was read', async (_, change) => {
      await world.keepKonnect(idle, '8');
      const work = idle.broker.app.get(SealedWork);
      await stopResealing(broker);
      const before = sealsWith(idle);
      await keys.rotate();
      await eventually(() => sealsWith(idle) !== before);
      const [like] = await work.left(sealsWith(idle));
      if (!like) throw new Error('nothing is left to be sealed anew');
      const picked = await work.pick(like, 10, 0);
      expect(picked).toHaveLength(1);
      await world.sql(`update connections set ${change} where company_id = '8'`);
      const changed = await rowOf('8');
      expect(await work.reseal(like.table, picked)).toBe(0);
      expect(await rowOf('8')).toEqual(changed);
    });
  });
});
