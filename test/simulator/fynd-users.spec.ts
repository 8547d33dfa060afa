import { describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import { type Told, useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();

async function openAs(user: string): Promise<Browser> {
  const browser = new Browser();
  await browser.visit(`${simulator.url}/_simulator/user/${encodeURIComponent(user)}`);
  return browser;
}

/** An online token for whoever sits before this browser. */
async function online(browser: Browser, company = '42'): Promise<Told> {
  const { headers } = await browser.visit(simulator.authorizeUrl(company, { access_mode: 'online' }));
  const code = new URL(headers.get('location') ?? '').searchParams.get('code');
  return simulator.exchange(company, String(code), 'token');
}

describe('the users of a company', () => {
  it('get online tokens of their own, interleaved, and all of them live', async () => {
    const [ann, bob] = [await openAs('ann'), await openAs('bob & sons')];
    const answers = [await online(ann), await online(bob), await online(ann), await online(new Browser())];
    expect(answers.map(({ body }) => (body['current_user'] as { _id: string })._id)).toEqual([
      'ann',
      'bob & sons',
      'ann',
      'simulated-user',
    ]);
    const tokens = answers.map(({ body }) => body['access_token']);
    expect(new Set(tokens).size).toBe(4);
    for (const token of tokens) expect(await simulator.resource(token)).toBe(200);
  });

  it('keep online tokens for as long as these have, which is not what offline tokens have', async () => {
    await simulator.settings('fynd', { token_ttl: 100, online_token_ttl: 200 });
    const { body } = await online(await openAs('ann'));
    const { access } = await simulator.install('42');
    expect(body['expires_in']).toBe(200);
    await simulator.control('POST', 'clock', { advance_s: 150 });
    expect([await simulator.resource(access), await simulator.resource(body['access_token'])]).toEqual([
      401, 200,
    ]);
    await simulator.control('POST', 'reset');
    expect((await online(new Browser())).body['expires_in']).toBe(7_200);
  });

  it('lose them when the company uninstalls', async () => {
    const [ann, elsewhere] = [await online(await openAs('ann')), await online(await openAs('ann'), '43')];
    await simulator.uninstall('42');
    expect(await simulator.resource(ann.body['access_token'])).toBe(401);
    expect(await simulator.resource(elsewhere.body['access_token'])).toBe(200);
  });
});
