import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();

describe("an extension's webhook", () => {
  let extension: Server;
  let notify: string;
  let heard: { url: string | undefined; headers: IncomingHttpHeaders; body: string }[] = [];

  beforeAll(async () => {
    extension = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        heard.push({ url: request.url, headers: request.headers, body });
        response.writeHead(202).end();
      });
    });
    await new Promise<void>((resolve) => extension.listen(0, '127.0.0.1', resolve));
    notify = `http://127.0.0.1:${(extension.address() as AddressInfo).port}/fp/hook`;
  });
  beforeEach(() => {
    heard = [];
  });
  afterAll(() => void extension.close());

  it('hears of an uninstall, unsigned, as the libraries that are out expect it', async () => {
    const { access } = await simulator.install('42');
    const { body } = await simulator.uninstall(42, { notify });
    expect(body).toEqual({ uninstalled: true, notify_status: 202 });
    expect(heard).toMatchObject([{ url: '/fp/hook', body: '{"company_id":42}' }]);
    expect(heard[0]?.headers).not.toHaveProperty('x-fp-signature');
    expect(await simulator.resource(access)).toBe(401);
  });

  it('can tell by the signature over the raw body that it was Fynd', async () => {
    await simulator.uninstall('42', { notify, sign: true });
    const expected = createHmac('sha256', 'demo-secret').update('{"company_id":"42"}').digest('hex');
    expect(heard[0]?.headers['x-fp-signature']).toBe(expected);
    expect(heard[0]?.headers['content-type']).toBe('application/json');
  });

  it('gets a code for an install without a browser, good for the scopes of the extension', async () => {
    await simulator.settings('fynd', { extension_scopes: ['company/orders'] });
    const { body } = await simulator.autoInstall('42', { notify, sign: true });
    expect(body).toEqual({ code: expect.stringContaining('simulated-secret'), notify_status: 202 });
    expect(JSON.parse(heard[0]?.body ?? '')).toEqual({ company_id: '42', code: body['code'] });
    const signature = createHmac('sha256', 'demo-secret')
      .update(heard[0]?.body ?? '')
      .digest('hex');
    expect(heard[0]?.headers['x-fp-signature']).toBe(signature);
    expect((await simulator.exchange('42', String(body['code']))).body['scope']).toEqual(['company/orders']);
  });

  it('is told of as it is: away, or not asked for', async () => {
    const away = await simulator.uninstall('42', { notify: 'http://127.0.0.1:1/' });
    expect(away.body).toEqual({
      uninstalled: false,
      notify_status: null,
      notify_error: expect.any(String),
    });
    expect((await simulator.uninstall('42')).body).toEqual({ uninstalled: false });
    expect((await simulator.autoInstall('42')).body).toEqual({ code: expect.any(String) });
    expect((await simulator.uninstall('42', { sign: true })).status).toBe(400);
  });
});
