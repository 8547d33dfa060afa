import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { columnsOf } from '../../src/audit/audit-columns.js';
import { KEEP } from '../../src/audit/audit.sql.js';
import { BROKER } from '../../src/shared/actor.js';
import { KEEP_TOKENS, manyOf } from '../../src/token/keep-token.sql.js';
import { LEASE_SQL, SHORT_BACKLOG } from '../../src/token/lease.sql.js';
import { TOKENS_IN_HAND_SQL } from '../../src/token/token-in-hand.js';
import { rowsSeen, type ExplainedPlan } from '../support/plan-rows.js';
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

describe('a claim', () => {
  /** As ASKED lists them: of a provider that stands in nobody's way. */
  const asked = ['konnect', randomUUID(), 60, 'holder', 0, 1_000, 1_000, 100, true, 'credentials'];

  beforeAll(() => world.sql(`insert into provider_states (provider, call_window) values ('konnect', 1000)`));

  it.each([
    ['of a short backlog', LEASE_SQL.claimDue, [10], SHORT_BACKLOG],
    ['of a probe', LEASE_SQL.claimProbe, [], 1_000],
  ])(
    '%s looks at each that is due a few times, and not once for each other',
    async (_, { text }, values, head) => {
      await world.sql(MANY);
      // To the planner, none is due yet.
      await world.sql('analyze connections');
      await world.sql(
        `update connections set sealed_grant = 'x', renew_at = broker_now() where company_id::int <= $1`,
        [head],
      );
      const plan = await world.sql<ExplainedPlan>(`explain (analyze, format json) ${text}`, [
        ...asked,
        ...values,
      ]);
      const claimed = await world.sql('select from connections where lease_owner is not null');
      expect(claimed).toHaveLength(values[0] ?? 1);
      expect(rowsSeen(plan)).toBeGreaterThan(head);
      expect(rowsSeen(plan)).toBeLessThan(head * 10);
      await world.sql('truncate connections');
    },
  );
});
