import { randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { Client } from 'pg';
import { columnsOf } from '../../src/audit/audit-columns.js';
import { KEEP } from '../../src/audit/audit.sql.js';
import { BROKER } from '../../src/shared/actor.js';
import { KEEP_TOKENS, manyOf } from '../../src/token/keep-token.sql.js';
import { TOKENS_IN_HAND_SQL } from '../../src/token/token-in-hand.js';
import { useWorld } from '../support/world.js';

const world = useWorld();

/** PostgreSQL tries so many plans of their own before it compares them with one for all. */
const OWN_PLANS = 5;

const MANY = `insert into connections (id, provider, company_id, status)
  select gen_random_uuid(), 'konnect', n::text, 'active' from generate_series(1, 2000) n`;

const subjects = JSON.stringify([{ provider: 'konnect', companyId: '1', locationId: '2' }]);
const token = [Buffer.of(1), 'Bearer', 'fingerprint', 0.5, 3_600, 2_400];
const kept = manyOf([[randomUUID(), '1', 1, 1, ...token, ['a'], null, true]]);
const read = { actor: BROKER, action: 'token:read', outcome: 'allowed', resource: '*' } as const;
const written = JSON.stringify([columnsOf(read, randomUUID(), Date.now())]);

it.each([
  ['a look-up of companies', TOKENS_IN_HAND_SQL.ofCompanies, subjects],
  ['a look-up of locations', TOKENS_IN_HAND_SQL.ofLocations, subjects],
  ['what keeps renewals', KEEP_TOKENS, kept],
  ['what writes the trail', KEEP, written],
])('%s is planned once, and not each time that it runs', async (_, { name, text }, value) => {
  const client = new Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    for (let run = 0; run < OWN_PLANS + 3; run += 1) await client.query({ name, text, values: [value] });
    const { rows } = await client.query(
      'select custom_plans::integer as own, generic_plans::integer as common from pg_prepared_statements where name = $1',
      [name],
    );
    expect(rows).toEqual([{ own: OWN_PLANS, common: 3 }]);
  } finally {
    await client.end();
  }
});

it.each([
  ['look-ups of companies', TOKENS_IN_HAND_SQL.ofCompanies],
  ['look-ups of locations', TOKENS_IN_HAND_SQL.ofLocations],
  ['what keeps renewals', KEEP_TOKENS],
])('%s find connections by an index, by the plan for all', async (_, { text }) => {
  await world.sql(MANY);
  await world.sql('analyze connections');
  const plan = await world.sql<Record<string, string>>(`explain (generic_plan) ${text}`);
  const lines = plan.flatMap((row) => Object.values(row)).filter((line) => line.includes(' on connections '));
  expect(lines).not.toEqual([]);
  for (const line of lines) expect(line).not.toContain('Seq Scan');
  await world.sql('truncate connections');
});
