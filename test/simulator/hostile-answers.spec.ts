import { connect, type Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { until, useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();
const PATH = '/aggregator/v1/token?username=a&password=p';

interface Raw {
  readonly bytes: Buffer;
  /** The head of the answer, lines and all. */
  readonly head: string;
  readonly body: Buffer;
  /** `FIN`, or the code of the error that ended the connection. */
  readonly end: string;
}

/** What comes over a bare socket, which neither unpacks, nor limits, nor closes when the other side does. */
function readRaw(afterEnd?: (socket: Socket) => Promise<void>): Promise<Raw> {
  const { hostname, port } = new URL(simulator.url);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const finish = (end: string): void => {
      const bytes = Buffer.concat(chunks);
      const cut = bytes.indexOf('\r\n\r\n');
      socket.destroy();
      resolve({ bytes, head: bytes.subarray(0, cut).toString(), body: bytes.subarray(cut + 4), end });
    };
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.once('end', () => void (afterEnd?.(socket) ?? Promise.resolve()).then(() => finish('FIN')));
    socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? 'error'));
    socket.write(`GET ${PATH} HTTP/1.1\r\nhost: simulator\r\n${afterEnd ? '' : 'connection: close\r\n'}\r\n`);
  });
}

/** Writes on, with time for the other side to say that it no longer reads. */
async function writeOn(socket: Socket): Promise<void> {
  for (const line of ['GET / HTTP/1.1\r\n', 'host: simulator\r\n']) {
    socket.write(line);
    await simulator.ledger();
  }
}

describe('a hostile answer', () => {
  it('may be packed although nobody asked for that, and is right', async () => {
    await simulator.fault({ provider: 'konnect', times: 1, gzip: true });
    const { head, body } = await readRaw();
    expect(head).toMatch(/^HTTP\/1\.1 200 .*content-encoding: gzip/s);
    expect(head).toMatch(new RegExp(`content-length: ${body.length}(\r|$)`));
    expect(JSON.parse(gunzipSync(body).toString())).toMatchObject({ status: 'SUCCESS' });
  });

  it('may be huge, and still JSON with a token in it', async () => {
    await simulator.fault({ provider: 'konnect', times: 1, huge: 3 });
    const text = await (await simulator.get(PATH)).text();
    expect(text.length).toBeGreaterThan(3 * 1024 * 1024);
    expect(JSON.parse(text)).toMatchObject({ access_token: expect.stringContaining('simulated-secret') });
  });

  it('may be huge only once it is unpacked', async () => {
    await simulator.fault({ provider: 'konnect', times: 2, huge: 20, gzip: true });
    expect((await readRaw()).bytes.length).toBeLessThan(100_000);
    expect((await (await simulator.get(PATH)).text()).length).toBeGreaterThan(20 * 1024 * 1024);
  });

  it('stops being sent when its reader has had enough', async () => {
    await simulator.fault({ provider: 'konnect', times: 1, huge: 10_240 });
    const answer = await simulator.get(PATH);
    await answer.body?.cancel();
    await until(async () => (await simulator.ledger()).counters['in_flight'] === 0);
    expect((await simulator.get(PATH)).status).toBe(200);
  });

  it('may have a head that is larger than a client reads', async () => {
    await simulator.fault({ provider: 'konnect', times: 2, header_bomb: 200 });
    const { head, body } = await readRaw();
    expect(head.length).toBeGreaterThan(200_000);
    expect(body.toString()).toMatch('SUCCESS');
    const refused: unknown = await simulator.get(PATH).catch((error: Error) => error.cause);
    expect(refused).toMatchObject({ code: 'UND_ERR_HEADERS_OVERFLOW' });
  });

  it('may end in the middle, by an orderly end of one side that reads on', async () => {
    await simulator.fault({ provider: 'konnect', times: 1, half_closed: true });
    const { head, body, end } = await readRaw(writeOn);
    const whole = Number(/content-length: (\d+)/.exec(head)?.[1]);
    expect([end, body.length]).toEqual(['FIN', whole >> 1]);
    expect((await simulator.ledger()).entries[0]).toMatchObject({ outcome: 'ok', fault: 'fault-1' });
  });

  it.each([
    [{ malformed: 'truncated' }, 'FIN', 'EPIPE'],
    [{ reset: true }, 'FIN', 'EPIPE'],
    [{ malformed: 'truncated', rst: true }, 'ECONNRESET', 'ECONNRESET'],
    [{ lost_reply: true, rst: true }, 'ECONNRESET', 'ECONNRESET'],
  ])('(%j) may end both ways at once, in order or by a reset', async (fault, end, endOfWriting) => {
    await simulator.fault({ provider: 'konnect', times: 2, ...fault });
    expect((await readRaw()).end).toBe(end);
    expect((await readRaw(writeOn)).end).toBe(endOfWriting);
  });

  it('is not huge and cut off at once', async () => {
    for (const other of [{ half_closed: true }, { drip_ms: 1 }, { malformed: 'truncated' }]) {
      expect((await simulator.fault({ provider: 'konnect', huge: 1, ...other })).body['message']).toMatch(
        'exclude each other',
      );
    }
  });
});

describe('a clock that is wrong for good', () => {
  it('moves the Date header and absolute expiries of every answer, and a fault moves it further', async () => {
    const date = async (): Promise<number> => {
      const { headers } = await simulator.konnect({ username: 'a', password: 'p' });
      return Math.round((Date.parse(headers.get('date') ?? '') - Date.now()) / 60_000);
    };
    await simulator.settings('konnect', { clock_offset_s: 3_600 });
    expect([await date(), await date()]).toEqual([60, 60]);
    await simulator.fault({ provider: 'konnect', times: 1, clock_offset_s: 600 });
    expect([await date(), await date()]).toEqual([70, 60]);

    await simulator.settings('fynd', { clock_offset_s: -3_600 });
    const { body } = await simulator.install('42');
    expect(Math.abs(Number(body['expires_at']) - Date.now() / 1000)).toBeLessThan(5);
    expect(body['expires_in']).toBe(3_600);
  });
});
