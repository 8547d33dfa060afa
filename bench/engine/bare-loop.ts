import { Agent, request } from 'node:http';
import process from 'node:process';
import { Pool } from 'pg';

/**
 * What a renewal cannot do without, and nothing else: one POST, one UPDATE of a row as wide. A program of its own, told
 * by one message what to do, whose answer is sent back when all rows are done.
 */
export interface BareOrder {
  readonly databaseUrl: string;
  readonly tokenUrl: string;
  /** The companies from 1 to this one. */
  readonly count: number;
  readonly concurrency: number;
  /** Connections are used again; the broker uses none twice. */
  readonly keepAlive: boolean;
}

const UPDATE = {
  name: 'bare_update',
  text: `update bare_connections set
           sealed_token = $2, token_fingerprint = $3, token_version = token_version + 1,
           issued_at = statement_timestamp(), expires_at = statement_timestamp() + interval '1 hour',
           renew_at = statement_timestamp() + make_interval(secs => $4), last_renewed_at = statement_timestamp(),
           updated_at = statement_timestamp()
         where id = $1`,
};

/** Bytes that a seal adds to a token. */
const SEAL_BYTES = 45;

async function run({ databaseUrl, tokenUrl, count, concurrency, keepAlive }: BareOrder): Promise<void> {
  const pool = new Pool({ connectionString: databaseUrl, max: 20 });
  const agent = new Agent({ keepAlive, maxSockets: concurrency });
  const { rows } = await pool.query<{ id: string; company_id: string }>(
    'select id, company_id from bare_connections where company_id::integer <= $1 order by id',
    [count],
  );
  let next = 0;
  const work = async (): Promise<void> => {
    for (let row = rows[next++]; row; row = rows[next++]) {
      const token = await post(agent, tokenUrl, row.company_id);
      const sealed = Buffer.concat([Buffer.from(token), Buffer.alloc(SEAL_BYTES)]);
      await pool.query({
        ...UPDATE,
        values: [row.id, sealed, row.id.slice(0, 24), 2_160 + Math.random() * 720],
      });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  agent.destroy();
  await pool.end();
}

function post(agent: Agent, url: string, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({
      username: `store-${name}`,
      password: 'test-secret-of-the-bare-loop-012345678',
    });
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(url, { method: 'POST', agent, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const { access_token } = JSON.parse(Buffer.concat(chunks).toString()) as { access_token: string };
        resolve(access_token);
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

process.once('message', (order: BareOrder) => {
  void run(order).then(() => process.disconnect());
});
