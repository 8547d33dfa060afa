import { expect, it } from '@jest/globals';
import { ask, eventually, type Answer } from '../support/http.js';
import { ADMIN_KEY, useWorld } from '../support/world.js';

const SESSION = '/console/session';
const world = useWorld();

it('a session is over at every replica for who has signed out, with every copy of its cookie', async () => {
  const broker = await world.local();
  const other = await world.local({ TRUSTED_PROXIES: '127.0.0.1' });
  const own = { origin: broker.api };
  const send = (method: string, path: string, headers: Record<string, string>): Promise<Answer> =>
    ask(method, `${broker.api}${path}`, headers);
  const session = async (headers: Record<string, string>): Promise<string> =>
    (await send('POST', SESSION, { ...own, ...headers })).headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const signIn = (key: string): Promise<string> => session({ authorization: `Bearer ${key}` });
  const look = async (cookie: string): Promise<number> =>
    (await send('GET', '/v1/connections', { cookie })).status;
  const { host } = new URL(broker.api);
  const there = async (cookie: string): Promise<number> =>
    (await ask('GET', `${other.api}/v1/connections`, { cookie, 'x-forwarded-host': host })).status;
  const { key } = await world.client(broker, 'connection:read **');
  const copy = await signIn(key);
  const prolonged = await session({ cookie: copy });
  const another = await signIn(key);
  for (const cookie of [copy, prolonged, another])
    expect([await look(cookie), await there(cookie)]).toEqual([200, 200]);
  expect((await send('DELETE', SESSION, { cookie: prolonged, ...own })).status).toBe(204);
  for (const cookie of [copy, prolonged]) {
    expect(await look(cookie)).toBe(401);
    await eventually(async () => (await there(cookie)) === 401);
    const again = await send('POST', SESSION, { cookie, ...own });
    expect([again.status, again.headers.getSetCookie()]).toEqual([401, []]);
  }
  expect([await look(another), await there(another)]).toEqual([200, 200]);

  // What is over by itself needs no remembering.
  await world.advance(9.5 * 3_600);
  await send('DELETE', SESSION, { cookie: await signIn(ADMIN_KEY), ...own });
  expect(await world.sql('select id from ended_sessions')).toHaveLength(1);
  await other.broker.stop();
});
