import { createSecretKey } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { Pool } from 'pg';
import { answerWith } from '../../companion-program.js';
import { ROUTE } from './route.js';
import { schemaOf } from './schema-of.js';
import type { SealedOrder } from './sealed-order.js';
import { open, SELECT, type Row } from './sealed-row.js';

/**
 * A cold read with nothing around it: one prepared SELECT, one AES-256-GCM decryption, and an answer whose serializer is
 * compiled beforehand. It asks for no key, keeps no trail and knows no state of a connection. A program of its own.
 */
answerWith(async ({ databaseUrl, pool: max, sealKey, example }: SealedOrder): Promise<number> => {
  const pool = new Pool({ connectionString: databaseUrl, max });
  const key = createSecretKey(sealKey, 'base64');
  const { header, base_url } = JSON.parse(example.body) as { header: { name: string }; base_url: string };
  const server = fastify();
  const schema = { response: { 200: schemaOf(JSON.parse(example.body)) } };
  server.get<{ Params: { provider: string; companyId: string } }>(
    ROUTE,
    { schema },
    async (request, reply) => {
      const { provider, companyId } = request.params;
      const { rows } = await pool.query<Row>({ ...SELECT, values: [provider, companyId] });
      const [row] = rows;
      if (!row) return reply.code(404).send();
      const token = open(key, row, provider, companyId);
      return reply.headers(example.headers).send({
        access_token: token,
        token_type: row.token_type,
        header: { name: header.name, value: token },
        base_url,
        expires_at: row.expires_at.toISOString(),
        expires_in: Math.floor((row.expires_at.getTime() - row.now.getTime()) / 1_000),
        refresh_after: row.renew_at.toISOString(),
        scopes: row.scopes,
        version: row.version,
        stale: false,
        provider,
        company_id: companyId,
        location_id: null,
        level: 'company',
        connection_id: row.id,
      });
    },
  );
  await server.listen({ port: 0, host: '127.0.0.1' });
  return (server.server.address() as AddressInfo).port;
});
