import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect } from '@jest/globals';
import { Environment } from '../../src/config/environment.js';
import { readSettings } from '../../src/config/settings.js';
import { examine } from '../../src/doctor/examination.js';
import type { Finding } from '../../src/doctor/finding.js';
import { Clock } from '../../src/shared/clock.js';
import { CommandLine } from './command-line.js';
import type { World } from './world.js';

export interface Report {
  readonly findings: readonly Finding[];
  /** `problem provider konnect: …` */
  readonly wrong: string;
}

type Changes = Record<string, string | undefined>;

/** Has the doctor look at a world, in which nothing is wrong but what a test has changed. */
export class Examinations {
  constructor(
    private readonly world: World,
    private readonly publicUrl: () => string,
  ) {}

  env(changes: Changes = {}): Record<string, string> {
    return this.world.environment({ NODE_ENV: 'development', PUBLIC_URL: this.publicUrl(), ...changes });
  }

  /** As the command does, in this process. */
  async examined(changes: Changes = {}, clock = new Clock()): Promise<Report> {
    const environment = new Environment(this.env(changes));
    try {
      return this.#report(await examine(readSettings(environment), clock));
    } finally {
      environment.close();
    }
  }

  /** By the command itself. */
  async ended(changes: Changes = {}): Promise<Report & { code: number | null }> {
    const { code, output } = await CommandLine.run(['doctor', '--json'], this.env(changes));
    return { code, ...this.#report((JSON.parse(output) as { findings: Finding[] }).findings) };
  }

  #report(findings: readonly Finding[]): Report {
    this.world.logs.push(JSON.stringify(findings));
    for (const { level, remedy } of findings) expect(level === 'ok').toBe(remedy === undefined);
    const wrong = findings
      .filter(({ level }) => level !== 'ok')
      .map(({ about, name = '', level, what }) => `${level} ${about} ${name}: ${what}\n`);
    return { findings, wrong: wrong.join('') };
  }
}

/** Servers that answer everything alike, and remember what they were asked. */
export class AnsweringServers {
  readonly asked: { headers: IncomingMessage['headers']; body: string }[] = [];
  readonly #servers: Server[] = [];

  async start(listener: RequestListener, tls?: { key: string; cert: string }): Promise<string> {
    const watched: RequestListener = (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        this.asked.push({ headers: request.headers, body: `${request.url}${body}` });
        listener(request, response);
      });
    };
    const server = tls ? createTlsServer(tls, watched) : createServer(watched);
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http${tls ? 's' : ''}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  status(code: number, headers: Record<string, string> = {}, body = '{}'): Promise<string> {
    return this.start((_, response) => response.writeHead(code, headers).end(body));
  }

  stop(): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }
}
