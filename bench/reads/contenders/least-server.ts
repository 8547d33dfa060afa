import { createSecretKey, hash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from 'pg';
import { answerWith } from '../../companion-program.js';
import { PROVIDER } from '../../engine/surroundings.js';
import type { SealedOrder } from './sealed-order.js';
import { open, SELECT, type Row } from './sealed-row.js';

const COMPANY = '1';

/**
 * The least that a broker has to do for a warm read: the hash of a key, one AES-256-GCM decryption of what lies in memory, and
 * the answer put together from texts. It asks for no permission,
 * keeps no trail and counts nobody. A program of its own.
 */
answerWith(async ({ databaseUrl, sealKey, key: known, example }: SealedOrder): Promise<number> => {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const [row] = (await client.query<Row>({ ...SELECT, values: [PROVIDER, COMPANY] })).rows;
  await client.end();
  if (!row) throw new Error('there is no connection to answer the token of');
  const key = createSecretKey(sealKey, 'base64');
  const [before, between, behind] = example.body.split(open(key, row, PROVIDER, COMPANY));
  const always = Object.entries(example.headers).flat();
  const knownHash = hash('sha256', `Bearer ${known}`, 'base64');
  const server = createServer({ optimizeEmptyRequests: true }, (request, response) => {
    const { authorization = '' } = request.headers;
    if (hash('sha256', authorization, 'base64') !== knownHash) return void response.writeHead(401).end();
    const token = open(key, row, PROVIDER, COMPANY);
    const body = `${before}${token}${between}${token}${behind}`;
    response.writeHead(200, [...always, 'content-length', String(Buffer.byteLength(body))]);
    response.end(body, 'latin1');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
});
