import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerWith } from '../companion-program.js';
import type { CannedAnswer } from './canned-answer.js';

/** Answers the same to whatever comes, at the least that Node can do it for. A program of its own, which tells its port. */
answerWith(async ({ status, headers, body }: CannedAnswer): Promise<number> => {
  const sent = { ...headers, 'content-length': String(Buffer.byteLength(body)) };
  const server = createServer((_, response) => {
    response.writeHead(status, sent);
    response.end(body);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
});
