import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { DataSource } from 'typeorm';
import { ConfigurationError } from '../config/mistakes.js';
import type { Settings } from '../config/settings.js';
import { directAddress, isPooled, pooledAddress } from '../database/address.js';
import { ROOM, roomNeeded, type Room } from '../database/connection-budget.js';
import { clientConfig, createDataSource } from '../database/data-source.js';
import { readMigrations } from '../database/migrations.js';
import { refuseLostNames } from '../database/pooler.js';
import { explainRefusal } from '../database/refusal.js';
import type { Clock } from '../shared/clock.js';
import { Findings, type Finding } from './finding.js';

const OLDEST_VERSION = 150_000;
/** Clocks that differ by more make logs hard to read; by still more, tokens of workloads are refused. Seconds. */
const SKEW_TOLD_S = 5;
const SKEW_TOO_MUCH_S = 60;
/** As long as a notification may take, in milliseconds. */
const HEARD_WITHIN_MS = 3_000;

/** Runs `look` with the database, where it can be reached. Nothing is written to it. */
export async function checkDatabase(
  settings: Settings,
  clock: Clock,
  look: (dataSource: DataSource) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const findings = new Findings('database');
  const dataSource = createDataSource(pooledAddress(settings.database), 2);
  try {
    await dataSource.initialize();
    findings.ok('DATABASE_URL is reached');
  } catch (error) {
    const explained = explainRefusal(error);
    const [line] = explained instanceof ConfigurationError ? explained.lines : [];
    const { code = 'no answer' } = error as { code?: string };
    findings.problem(
      line ?? `DATABASE_URL leads to nothing that answers (${code})`,
      'Check host, port, user, password and database in DATABASE_URL, and that this machine may connect.',
    );
    return findings.all;
  }
  try {
    await checkServer(dataSource, clock, findings);
    const isMigrated = await checkMigrations(dataSource, settings, findings);
    await checkRoom(dataSource, settings, findings);
    await checkPooler(dataSource, settings, findings);
    return [...findings.all, ...(isMigrated ? await look(dataSource) : [])];
  } finally {
    await dataSource.destroy();
  }
}

async function checkServer(dataSource: DataSource, clock: Clock, findings: Findings): Promise<void> {
  const sentAt = clock.nowMs();
  const [row] = await dataSource.query<{ version: number; named: string; now: number; owns: boolean }[]>(
    `select current_setting('server_version_num')::int as version, current_setting('server_version') as named,
       extract(epoch from clock_timestamp()) * 1000 as now, has_schema_privilege(current_schema, 'create') as owns`,
  );
  if (!row) return;
  const ours = (sentAt + clock.nowMs()) / 2;
  if (row.version < OLDEST_VERSION)
    findings.problem(`it is PostgreSQL ${row.named}`, 'The broker needs 15 or newer.');
  else findings.ok(`it is PostgreSQL ${row.named}`);
  if (!row.owns)
    findings.warn(
      'its user may not make tables',
      'Grant CREATE on the schema: migrations need it, and the weekly parts of the audit trail.',
    );
  const skewS = Math.round((Number(row.now) - ours) / 1_000);
  const what = `its clock is ${Math.abs(skewS)} s ${skewS < 0 ? 'behind' : 'ahead of'} this machine's`;
  const remedy = 'Let both take their time from NTP. Tokens and leases live by the clock of the database.';
  if (Math.abs(skewS) > SKEW_TOO_MUCH_S) findings.problem(what, remedy);
  else if (Math.abs(skewS) > SKEW_TOLD_S) findings.warn(what, remedy);
  else findings.ok("its clock and this machine's agree");
}

/** @returns whether what comes next can be looked at */
async function checkMigrations(
  dataSource: DataSource,
  settings: Settings,
  findings: Findings,
): Promise<boolean> {
  const known = readMigrations().map((step) => new step().name ?? '');
  const [table] = await dataSource.query<{ there: boolean }[]>(
    `select to_regclass('migrations') is not null as there`,
  );
  const done = table?.there
    ? (await dataSource.query<{ name: string }[]>('select name from migrations')).map(({ name }) => name)
    : [];
  const missing = known.filter((name) => !done.includes(name));
  const newer = done.filter((name) => !known.includes(name));
  if (missing.length > 0) {
    const what =
      done.length === 0
        ? "DATABASE_URL leads to a database without the broker's tables: is it the right one?"
        : `it lacks ${missing.length} of ${known.length} migrations`;
    if (settings.database.migrateOnStart) findings.warn(what, 'The next start runs them (MIGRATE_ON_START).');
    else findings.problem(what, 'Run: npm run migrate');
  } else findings.ok(`all ${known.length} migrations were run`);
  if (newer.length > 0)
    findings.warn(
      `it has ${newer.length} migrations of a newer release`,
      'That release may run beside this one while you upgrade; finish the upgrade.',
    );
  return done.length > 0;
}

async function checkRoom(dataSource: DataSource, settings: Settings, findings: Findings): Promise<void> {
  if (isPooled(settings.database)) {
    findings.ok("for how many replicas there is room is for the pooler's own limits to say");
    return;
  }
  const needed = roomNeeded(settings);
  const [least] = await dataSource.query<Room[]>(ROOM.text);
  if (!least) return;
  const fitting = Math.floor(least.room / needed);
  const what = `a replica may hold ${needed} connections, and ${least.name} leaves ${least.room}`;
  if (fitting < 1) findings.problem(what, 'Lower DATABASE_POOL, or raise that limit.');
  else if (fitting < 2)
    findings.warn(`${what}: one replica fits`, 'An upgrade needs room for one more: lower DATABASE_POOL.');
  else findings.ok(`${what}: ${fitting} replicas fit`);
}

async function checkPooler(dataSource: DataSource, settings: Settings, findings: Findings): Promise<void> {
  const { database } = settings;
  if (database.namedStatements) {
    try {
      await refuseLostNames(dataSource);
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      findings.problem(
        'DATABASE_URL leads to a pooler that mixes up named statements',
        'Set DATABASE_NAMED_STATEMENTS=off, or let it keep them (docs/operations.md).',
      );
    }
  }
  if (database.notifications) await checkChannel(dataSource, settings, findings);
  else
    findings.warn(
      'replicas do not hear of each other (DATABASE_NOTIFICATIONS=off)',
      'Each read costs two statements. Where PostgreSQL can be reached past the pooler, set DATABASE_DIRECT_URL.',
    );
}

/** A connection that listens in vain looks like any other: so something is said, and listened for. */
async function checkChannel(dataSource: DataSource, settings: Settings, findings: Findings): Promise<void> {
  const address = directAddress(settings.database);
  const variable = address.variable ?? 'DATABASE_URL';
  const client = new Client({ ...clientConfig(address), application_name: 'token-broker doctor' });
  client.on('error', () => undefined);
  const channel = `doctor_${randomUUID().replaceAll('-', '')}`;
  try {
    await client.connect();
    const heard = new Promise<boolean>((resolve) => client.on('notification', () => resolve(true)));
    await client.query(`listen ${channel}`);
    await dataSource.query('select pg_notify($1, $2)', [channel, 'heard?']);
    if (await Promise.race([heard, sleep(HEARD_WITHIN_MS, false, { ref: false })]))
      findings.ok(`${variable} hears what others say`);
    else
      findings.problem(
        `${variable} listens in vain: it leads through a pooler, or to another database`,
        'Set DATABASE_DIRECT_URL to PostgreSQL itself, or DATABASE_NOTIFICATIONS=off (docs/operations.md).',
      );
  } catch (error) {
    const { code = 'no answer' } = error as { code?: string };
    findings.problem(`${variable} cannot be listened on (${code})`, `Check ${variable}.`);
  } finally {
    await client.end().catch(() => undefined);
  }
}
