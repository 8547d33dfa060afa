import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { answerWith } from '../../companion-program.js';
import type { CannedAnswer } from '../../load/canned-answer.js';
import { ROUTE } from './route.js';
import { schemaOf } from './schema-of.js';

/** The same object every time, written by a serializer that is compiled beforehand. A program of its own. */
answerWith(async ({ headers, body }: CannedAnswer): Promise<number> => {
  const answer: unknown = JSON.parse(body);
  const server = fastify();
  server.get(ROUTE, { schema: { response: { 200: schemaOf(answer) } } }, (_, reply) => {
    void reply.headers(headers).send(answer);
  });
  await server.listen({ port: 0, host: '127.0.0.1' });
  return (server.server.address() as AddressInfo).port;
});
