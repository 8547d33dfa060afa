import { Secret } from '../../src/shared/secret.js';
import type { Claim } from '../../src/token/renewal-attempt.js';
import type { Pass } from './attempt.js';
import type { Clocks } from './clocks.js';
import { DEAD } from './connection-rules.js';
import type { Ground } from './engine.js';
import type { Row } from './row.js';
import { PROVIDER, Stage } from './stage.js';
import type { Plan, Scene, Step } from './step.js';
import { Broken } from './turn.js';
import { callerWho } from '../support/caller.js';

/** Looks at the calendar within one `live`. */
const MOST_LOOKS = 20;
const OPERATOR = callerWho(() => true);
const HONEST: Plan = { reaction: 'honest', life: 86_400, retryAfter: null, until: 'kept' };

/** What happens to one provider and three replicas that renew from it, told step by step. */
export class Story {
  private constructor(
    private readonly stage: Stage,
    private readonly clocks: Clocks,
  ) {}

  /** A provider of which nothing is known, and companies that have just connected. */
  static async begin(ground: Ground, clocks: Clocks, scene: Scene): Promise<Story> {
    const { dataSource } = ground;
    await dataSource.query('delete from connections');
    await dataSource.query('delete from provider_states');
    await dataSource.query(`select setseed($1)`, [(scene.draws % 1_000) / 1_000]);
    // What is drawn as an id would decide who comes first.
    for (let company = 1; company <= scene.companies; company += 1) {
      const id = `00000000-0000-4000-8000-00000000000${company}`;
      const values = [id, PROVIDER, String(company)];
      await dataSource.query(
        `insert into connections (id, provider, company_id, status) values ($1, $2, $3, 'active')`,
        values,
      );
    }
    const story = new Story(new Stage(ground, clocks, scene), clocks);
    await story.stage.look();
    for (let company = 0; company < scene.companies; company += 1)
      await story.#adopt({ company, isSame: false, withToken: true, paused: null, unlessLiving: false });
    return story;
  }

  async play(step: Step): Promise<void> {
    switch (step.do) {
      case 'tick':
        return this.#tick(step.replica, step.limit, step.plans);
      case 'want':
        return this.#want(step);
      case 'report':
        return this.#report(step.replica, step.company, step.plan);
      case 'send': {
        const stalled = this.stage.attempts.filter(({ state }) => state === 'stalled');
        const attempt = stalled[step.which % stalled.length];
        return attempt && this.stage.send(attempt);
      }
      case 'deliver': {
        const sent = this.stage.attempts.filter(({ state }) => state === 'sent');
        const attempt = sent[step.which % sent.length];
        return attempt && this.stage.deliver(attempt, step.crashAfter);
      }
      case 'crash':
        return this.stage.crash(step.replica);
      case 'adopt':
        return this.#adopt(step);
      case 'time':
        return this.stage.pass(step.seconds);
      case 'wait':
        return this.stage.pass(this.#untilNext(7_200));
      case 'database_clock':
        return this.stage.turn({ kind: 'time', change: 'apart' }, () => this.clocks.goThere(step.seconds));
      case 'live':
        return this.#live(step.seconds, step.plan);
      case 'pause':
      case 'resume':
      case 'revoke':
      case 'withdraw':
      case 'pause_provider':
      case 'resume_provider':
      case 'revive':
        return this.#change(step.do, step.company);
    }
  }

  /** All is well from here on: whatever was left must come right by itself, and soon. */
  async heal(): Promise<void> {
    await this.#change('resume_provider', 0);
    for (let round = 0; round < 150; round += 1) {
      const ailing = [...this.stage.sight.rows.values()].filter((row) => this.#isAiling(row));
      if (ailing.length === 0) return;
      if (this.stage.sight.state.isMass) await this.#change('resume_provider', 0);
      await this.stage.pass(this.#untilNext(3_600));
      await this.#tick(round, 8, [HONEST]);
    }
    throw new Broken(
      'nothing stays ill where all is well',
      [...this.stage.sight.rows.values()].filter((row) => this.#isAiling(row)),
    );
  }

  /** The longest that this story could be told without anything new: milliseconds are the clocks’ own. */
  #untilNext(mostS: number): number {
    const { rows, state } = this.stage.sight;
    const there = [...rows.values()][0]?.now ?? 0;
    const due = [...rows.values()].flatMap(({ renewAt }) => renewAt ?? []);
    const closed = [state.closedUntil, state.isMisconfigured ? state.probeAt : null].map((time) => time ?? 0);
    const ahead = [...due, ...closed].filter((time) => time > there).map((time) => (time - there) / 1_000);
    const next = Math.min(...ahead, mostS);
    // What is due and was not taken waits for room.
    const hasWork = due.some((time) => time <= there) && Math.max(...closed) <= there;
    return (hasWork ? Math.min(next, 0.2) : next) + 0.001;
  }

  async #live(seconds: number, plan: Plan): Promise<void> {
    const until = this.clocks.here.monotonic() + seconds * 1_000;
    for (let look = 0; look < MOST_LOOKS; look += 1) {
      const leftS = (until - this.clocks.here.monotonic()) / 1_000;
      if (leftS <= 0) return;
      await this.stage.pass(Math.min(leftS, this.#untilNext(leftS)));
      await this.#tick(look, 8, [plan]);
    }
  }

  async #tick(replica: number, limit: number, plans: readonly Plan[]): Promise<void> {
    const engine = this.stage.engineOf(replica);
    await this.stage.claim(replica, 'calendar', plans, async () => {
      const { claims } = await engine.claims.due(engine.provider, limit);
      return claims;
    });
  }

  async #want({ replica, company, pass, isBehind, plan }: Extract<Step, { do: 'want' }>): Promise<void> {
    const row = this.stage.rowOf(company);
    const wanting = row.tokenVersion - (isBehind ? 1 : 0);
    await this.#claimOne(replica, row, { pass, plan, wanting });
  }

  async #report(replica: number, company: number, plan: Plan): Promise<void> {
    const { id, tokenVersion, ...row } = this.stage.rowOf(company);
    const { store } = this.stage.engineOf(replica);
    let isAccepted = false;
    await this.stage.turn({ kind: 'report', company: row.company }, async () => {
      isAccepted = await store.acceptReport(id, tokenVersion);
    });
    if (isAccepted)
      await this.#claimOne(replica, this.stage.rowOf(company), {
        pass: 'nothing',
        plan,
        wanting: tokenVersion,
      });
  }

  async #claimOne(
    replica: number,
    { id }: Row,
    { pass, plan, wanting }: { pass: Exclude<Pass, 'calendar'>; plan: Plan; wanting: number },
  ): Promise<void> {
    const { store, claims } = this.stage.engineOf(replica);
    const ask = async (): Promise<Claim[]> => {
      const connection = await store.findById(id);
      if (!connection) return [];
      const { claim } = await claims.one(connection, wanting, pass, this.clocks.here.monotonic());
      return claim ? [claim] : [];
    };
    await this.stage.claim(replica, pass, [plan], ask, wanting);
  }

  async #adopt(adoption: Omit<Extract<Step, { do: 'adopt' }>, 'do'>): Promise<void> {
    const { isSame, withToken, paused, unlessLiving } = adoption;
    const { company, grant: former } = this.stage.rowOf(adoption.company);
    const { keeper, provider } = this.stage.engineOf(0);
    const grant = isSame && former !== null ? former : this.stage.grantor.consent();
    const token = {
      accessToken: new Secret(withToken ? this.stage.grantor.mint(grant) : ''),
      tokenType: 'Bearer',
      lifetimeSeconds: 3_600,
      lifetimeAssumed: false,
      sentAt: this.clocks.here.monotonic(),
    };
    await this.stage.turn({ kind: 'adopt', company }, () =>
      keeper.adopt(
        provider,
        { provider: PROVIDER, companyId: company, locationId: null },
        {
          grant: () => new Secret(grant),
          credential: null,
          scopes: null,
          token: withToken ? token : null,
          mintedIn: withToken ? 'model' : null,
          unlessLiving,
          ...(paused === null ? {} : { paused }),
        },
        OPERATOR,
      ),
    );
  }

  async #change(change: string, company: number): Promise<void> {
    const row = this.stage.rowOf(company);
    const { store, states, revival } = this.stage.engineOf(0);
    const isOfAll = change === 'revive' || change.endsWith('_provider');
    await this.stage.turn(
      { kind: 'outside', change, company: isOfAll ? undefined : row.company },
      async () => {
        if (change === 'pause') await store.pause(row.id, OPERATOR);
        if (change === 'resume') await store.resume(row.id, OPERATOR);
        if (change === 'revoke')
          await store.revoke(row.id, 'revoked_by_operator', () => Promise.resolve('unsupported'), OPERATOR);
        if (change === 'withdraw' && row.grant !== null) this.stage.grantor.end(row.grant);
        if (change === 'pause_provider') await states.pause(PROVIDER, OPERATOR);
        if (change === 'resume_provider') await states.resume(PROVIDER, OPERATOR);
        if (change === 'revive') await revival.revive(PROVIDER, new Date(row.now - 3_600_000), OPERATOR);
      },
    );
  }

  /** Neither well nor ended, and not put off to a time when it will come right. */
  #isAiling(row: Row): boolean {
    const { status, renewAt, now, grant, token, expiresAt, leaseOwner } = row;
    if (status === 'revoked' || status === 'paused') return false;
    // A credential that is dead at the provider, too, is tried for ever.
    if (status === DEAD && (renewAt === null || grant === null || !this.stage.grantor.lives(grant)))
      return false;
    if (leaseOwner !== null || token === null) return true;
    const isPutOff = row.unknown !== null && renewAt !== null && renewAt > now;
    return status !== 'active' || (expiresAt !== null && expiresAt <= now) || (row.failures > 0 && !isPutOff);
  }
}
