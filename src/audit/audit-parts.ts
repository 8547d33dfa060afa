import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Database, type Run } from '../database/database.js';
import { Problem } from '../shared/problem.js';

const LOOK_MS = 3_600_000;
/** Parts that are there before they are needed, in weeks; time enough to mend what hinders them. */
const WEEKS_AHEAD = 2;
const WEEK_MS = 7 * 86_400_000;

/** Behind a long query, whoever wants to write would stand in line, too: rather in an hour again. */
const BE_BRIEF = { text: `set local lock_timeout = '1s'` };
const LOCK = { text: `select pg_advisory_xact_lock(hashtextextended('audit parts', 0))` };

/** May this role make and drop parts? */
const IS_ABLE = {
  text: `select pg_has_role(relowner, 'usage') and has_schema_privilege(relnamespace, 'create') as able
         from pg_class where oid = 'audit_events'::regclass`,
};

/** Mondays in UTC: of this week, of those ahead, and of what lies in no part of its own. */
const WANTED = {
  text: `select date_trunc('week', broker_now(), 'UTC') + n * interval '7 days' as monday from generate_series(0, $1::integer) n
         union select date_trunc('week', at, 'UTC') from audit_events_rest`,
};

const PARTS = {
  text: `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'audit_events'::regclass and c.relname ~ '^audit_events_[0-9]{8}$' order by 1`,
};

const OLDEST_KEPT = { text: `select broker_now() - make_interval(days => $1) as kept` };

/**
 * The parts of the trail, one a week. Every replica looks after them, one at a time; what is old goes with its part, as a
 * whole. What lies in no part of its own is in the last one, so that nothing that is written waits for any of this.
 */
@Injectable()
export class AuditParts implements OnApplicationBootstrap {
  readonly #logger = new Logger('Audit');
  #isWarned = false;

  constructor(
    private readonly database: Database,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.look();
  }

  /** Makes the parts that are missing, and drops those that are too old. */
  @Interval(LOOK_MS)
  async look(): Promise<void> {
    try {
      if (!(await this.#isAble())) return;
      const there = (await this.database.run<{ name: string }>(PARTS)).map(({ name }) => name);
      const wanted = await this.database.run<{ monday: Date }>(WANTED, [WEEKS_AHEAD]);
      const missing = wanted.filter(({ monday }) => !there.includes(nameOf(monday)));
      for (const { monday } of missing) await this.#change(nameOf(monday), (run) => make(run, monday));
      const [oldest] = await this.database.run<{ kept: Date }>(OLDEST_KEPT, [
        this.settings.audit.retentionDays,
      ]);
      const isOld = (name: string): boolean =>
        mondayOf(name).getTime() + WEEK_MS <= (oldest?.kept.getTime() ?? 0);
      for (const name of [...there, ...missing.map(({ monday }) => nameOf(monday))].filter(isOld)) {
        if (await this.#change(name, (run) => drop(run, name)))
          this.#logger.log(`dropped ${name}: its week is older than AUDIT_RETENTION_DAYS`);
      }
    } catch (error) {
      this.#logger.warn(`the parts of the audit trail are looked after later: ${messageOf(error)}`);
    }
  }

  /** False where this one cannot be made or dropped; the others can. Throws where it is the database that is busy or away. */
  async #change(name: string, work: (run: Run) => Promise<void>): Promise<boolean> {
    try {
      await this.database.transaction(work);
      return true;
    } catch (error) {
      if (error instanceof Problem) throw error;
      this.#logger.warn(`${name} is looked after later: ${messageOf(error)}`);
      return false;
    }
  }

  async #isAble(): Promise<boolean> {
    const [row] = await this.database.run<{ able: boolean }>(IS_ABLE);
    if (row?.able) return true;
    if (!this.#isWarned) {
      this.#logger.warn(
        'this role may not make tables: the whole audit trail lies in audit_events_rest, and nothing of it is dropped',
      );
    }
    this.#isWarned = true;
    return false;
  }
}

/** Made beside the trail and then attached, which holds up nobody who writes elsewhere. */
async function make(run: Run, monday: Date): Promise<void> {
  const name = nameOf(monday);
  if ((await lockedParts(run)).includes(name)) return;
  const from = `'${monday.toISOString()}'`;
  const to = `'${new Date(monday.getTime() + WEEK_MS).toISOString()}'`;
  await run({ text: `lock table audit_events_rest in access exclusive mode` });
  await run({ text: `create table ${name} (like audit_events including all)` });
  await run({
    text: `with moved as (delete from audit_events_rest where at >= ${from} and at < ${to} returning *)
           insert into ${name} select * from moved`,
  });
  await run({
    text: `alter table audit_events attach partition ${name} for values from (${from}) to (${to})`,
  });
}

async function drop(run: Run, name: string): Promise<void> {
  if ((await lockedParts(run)).includes(name)) await run({ text: `drop table ${name}` });
}

/** The parts that are there, of which no other replica makes or drops one meanwhile. */
async function lockedParts(run: Run): Promise<string[]> {
  await run(BE_BRIEF);
  await run(LOCK);
  return (await run<{ name: string }>(PARTS)).map(({ name }) => name);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}

function nameOf(monday: Date): string {
  return `audit_events_${monday.toISOString().slice(0, 10).replaceAll('-', '')}`;
}

function mondayOf(name: string): Date {
  const [, year, month, day] = /(\d{4})(\d{2})(\d{2})$/.exec(name) ?? [];
  return new Date(`${year}-${month}-${day}T00:00:00Z`);
}
