import type { SharedProviderSettings } from '../../src/config/provider-settings.js';
import { Secret } from '../../src/shared/secret.js';
import type { Claim } from '../../src/token/renewal-attempt.js';
import { Attempt, type Pass } from './attempt.js';
import type { Clocks } from './clocks.js';
import { ConnectionRules, DEAD } from './connection-rules.js';
import { Engine, type Ground } from './engine.js';
import { Grantor } from './grantor.js';
import { ProviderRules } from './provider-rules.js';
import { RowReader, type Row } from './row.js';
import type { Plan, Scene, Step } from './step.js';
import { Broken, type Sight, type Turn } from './turn.js';

const PROVIDER = 'model';
const REPLICAS = 3;
/** Looks at the calendar within one `live`. */
const MOST_LOOKS = 20;
const OPERATOR = { id: 'operator', permits: () => true };
const HONEST: Plan = { reaction: 'honest', life: 86_400, retryAfter: null, until: 'kept' };

type About = Pick<Turn, 'kind'> & Partial<Pick<Turn, 'change' | 'company' | 'attempts' | 'wanting'>>;

/** One provider, its books, and three replicas that renew from it: told step by step, and looked at after each turn. */
export class Story {
  readonly #grantor: Grantor;
  readonly #engines: Engine[];
  readonly #settings: SharedProviderSettings;
  readonly #attempts: Attempt[] = [];
  readonly #ofConnections: ConnectionRules;
  readonly #ofProvider: ProviderRules;
  readonly #reader: RowReader;
  #sight: Sight = { rows: new Map(), state: NOTHING_KNOWN };

  private constructor(
    private readonly ground: Ground,
    private readonly clocks: Clocks,
    scene: Scene,
  ) {
    const { ratePerSecond, concurrency, rotation } = scene;
    this.#settings = { ...SETTINGS, ratePerSecond, concurrency, rotation };
    this.#grantor = new Grantor(scene.truth);
    this.#ofConnections = new ConnectionRules(scene, this.#grantor, clocks);
    this.#ofProvider = new ProviderRules(scene, clocks);
    this.#reader = new RowReader(ground.dataSource, ground.vault, PROVIDER);
    this.#engines = Array.from({ length: REPLICAS }, () => this.#start());
  }

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
    const story = new Story(ground, clocks, scene);
    story.#sight = await story.#look();
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
        const stalled = this.#attempts.filter(({ state }) => state === 'stalled');
        const attempt = stalled[step.which % stalled.length];
        return attempt && this.#send(attempt);
      }
      case 'deliver': {
        const sent = this.#attempts.filter(({ state }) => state === 'sent');
        const attempt = sent[step.which % sent.length];
        return attempt && this.#deliver(attempt, step.crashAfter);
      }
      case 'crash':
        return this.#crash(step.replica % REPLICAS);
      case 'adopt':
        return this.#adopt(step);
      case 'time':
        return this.#pass(step.seconds);
      case 'database_clock':
        return this.#turn({ kind: 'time', change: 'apart' }, () => this.clocks.goThere(step.seconds));
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
    const [engine] = this.#engines;
    if (!engine) return;
    await this.#change('resume_provider', 0);
    for (let round = 0; round < 150; round += 1) {
      const ailing = [...this.#sight.rows.values()].filter((row) => isAiling(row));
      if (ailing.length === 0) return;
      if (this.#sight.state.isMass) await this.#change('resume_provider', 0);
      await this.#pass(this.#untilNext(3_600));
      await this.#tick(round, 8, [HONEST]);
    }
    throw new Broken('nothing stays ill where all is well', [...this.#sight.rows.values()].filter(isAiling));
  }

  /** The longest that this story could be told without anything new: milliseconds are the clocks’ own. */
  #untilNext(mostS: number): number {
    const { rows, state } = this.#sight;
    const there = [...rows.values()][0]?.now ?? 0;
    const times = [...rows.values()].flatMap(({ renewAt, leaseUntil }) => [renewAt, leaseUntil]);
    times.push(state.closedUntil, state.isMisconfigured ? state.probeAt : null);
    const ahead = times.filter((time) => time !== null).map((time) => (time - there) / 1_000);
    const next = Math.min(...ahead.filter((seconds) => seconds > 0), mostS);
    // What is due and was not taken waits for room.
    return ahead.some((seconds) => seconds <= 0) ? Math.min(next, 1) + 0.001 : next + 0.001;
  }

  async #live(seconds: number, plan: Plan): Promise<void> {
    const until = this.clocks.here.monotonic() + seconds * 1_000;
    for (let look = 0; look < MOST_LOOKS; look += 1) {
      const leftS = (until - this.clocks.here.monotonic()) / 1_000;
      if (leftS <= 0) return;
      await this.#pass(Math.min(leftS, this.#untilNext(leftS)));
      await this.#tick(look, 8, [plan]);
    }
  }

  async #pass(seconds: number): Promise<void> {
    await this.#turn({ kind: 'time' }, () => this.clocks.go(seconds));
  }

  async #tick(replica: number, limit: number, plans: readonly Plan[]): Promise<void> {
    const engine = this.#engineOf(replica);
    await this.#claim(replica, 'calendar', plans, async () => {
      const { claims } = await engine.claims.due(engine.provider, limit);
      return claims;
    });
  }

  async #want({ replica, company, pass, isBehind, plan }: Extract<Step, { do: 'want' }>): Promise<void> {
    const row = this.#rowOf(company);
    const wanting = row.tokenVersion - (isBehind ? 1 : 0);
    await this.#claimOne(replica, row, { pass, plan, wanting });
  }

  async #report(replica: number, company: number, plan: Plan): Promise<void> {
    const { id, tokenVersion, ...row } = this.#rowOf(company);
    const { store } = this.#engineOf(replica);
    let isAccepted = false;
    await this.#turn({ kind: 'report', company: row.company }, async () => {
      isAccepted = await store.acceptReport(id, tokenVersion);
    });
    if (isAccepted)
      await this.#claimOne(replica, this.#rowOf(company), { pass: 'nothing', plan, wanting: tokenVersion });
  }

  async #claimOne(
    replica: number,
    { id }: Row,
    { pass, plan, wanting }: { pass: Exclude<Pass, 'calendar'>; plan: Plan; wanting: number },
  ): Promise<void> {
    const { store, claims } = this.#engineOf(replica);
    const ask = async (): Promise<Claim[]> => {
      const connection = await store.findById(id);
      if (!connection) return [];
      const { claim } = await claims.one(connection, wanting, pass, this.clocks.here.monotonic());
      return claim ? [claim] : [];
    };
    await this.#claim(replica, pass, [plan], ask, wanting);
  }

  async #claim(
    replica: number,
    pass: Pass,
    plans: readonly Plan[],
    ask: () => Promise<readonly Claim[]>,
    wanting?: number,
  ): Promise<void> {
    const attempts: Attempt[] = [];
    await this.#turn({ kind: 'claim', attempts, wanting }, async (before) => {
      for (const [place, claim] of (await ask()).entries()) {
        const atClaim = before.rows.get(claim.claimed.companyId);
        const plan = plans[place % plans.length];
        if (!atClaim || !plan) throw new Error('somebody was claimed who is not there');
        const { commits } = this.#ofConnections.trailOf(atClaim.company);
        const how = { replica: replica % REPLICAS, pass, plan, atClaim, commitsBefore: commits };
        attempts.push(new Attempt(claim, how, this.clocks.here));
      }
    });
    this.#attempts.push(...attempts);
    for (const attempt of attempts) await this.#begin(attempt);
  }

  async #begin(attempt: Attempt): Promise<void> {
    const engine = this.#engineOf(attempt.replica);
    await this.#turn({ kind: 'begin', attempts: [attempt] }, async () => {
      engine.provider.next = attempt;
      attempt.run = engine.renewer.run(attempt.claim).then((kept) => {
        attempt.isKept = kept !== undefined;
        attempt.state = 'over';
      });
      // What is settled before it asks has asked nobody by now.
      if (attempt.sentGrant === null) await attempt.run;
      else if (attempt.plan.until !== 'stalled') await this.#leave(attempt);
    });
    if (attempt.state === 'sent' && attempt.plan.until === 'kept') await this.#deliver(attempt, null);
  }

  async #send(attempt: Attempt): Promise<void> {
    await this.#turn({ kind: 'begin', attempts: [attempt] }, () => this.#leave(attempt));
  }

  async #leave(attempt: Attempt): Promise<void> {
    attempt.release();
    await attempt.left;
    if (attempt.sentAt === null) await attempt.run;
  }

  async #deliver(attempt: Attempt, crashAfter: number | null): Promise<void> {
    const { database } = this.#engineOf(attempt.replica);
    const change = crashAfter === null ? undefined : 'crash';
    await this.#turn({ kind: 'deliver', attempts: [attempt], ...(change ? { change } : {}) }, async () => {
      if (crashAfter !== null) database.dieAfter(crashAfter);
      attempt.answer();
      await Promise.race([attempt.run, database.died]);
      if (crashAfter !== null) this.#crash(attempt.replica);
    });
  }

  /** What a dead process was about to do is never done, and nobody hears of what it had heard. */
  #crash(replica: number): void {
    this.#engines[replica]?.database.dieAfter(0);
    for (const attempt of this.#attempts)
      if (attempt.replica === replica && attempt.state !== 'over') attempt.state = 'lost';
    this.#engines[replica] = this.#start();
  }

  async #adopt(adoption: Omit<Extract<Step, { do: 'adopt' }>, 'do'>): Promise<void> {
    const { isSame, withToken, paused, unlessLiving } = adoption;
    const { company, grant: former } = this.#rowOf(adoption.company);
    const { keeper, provider } = this.#engineOf(0);
    const grant = isSame && former !== null ? former : this.#grantor.consent();
    const token = {
      accessToken: new Secret(withToken ? this.#grantor.mint(grant) : ''),
      tokenType: 'Bearer',
      lifetimeSeconds: 3_600,
      lifetimeAssumed: false,
      sentAt: this.clocks.here.monotonic(),
    };
    await this.#turn({ kind: 'adopt', company }, () =>
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
      ),
    );
  }

  async #change(change: string, company: number): Promise<void> {
    const row = this.#rowOf(company);
    const { store, states, revival } = this.#engineOf(0);
    const isOfAll = change === 'revive' || change.endsWith('_provider');
    await this.#turn({ kind: 'outside', change, company: isOfAll ? undefined : row.company }, async () => {
      if (change === 'pause') await store.pause(row.id);
      if (change === 'resume') await store.resume(row.id);
      if (change === 'revoke')
        await store.revoke(row.id, 'revoked_by_operator', () => Promise.resolve('unsupported'));
      if (change === 'withdraw' && row.grant !== null) this.#grantor.end(row.grant);
      if (change === 'pause_provider') await states.pause(PROVIDER);
      if (change === 'resume_provider') await states.resume(PROVIDER);
      if (change === 'revive') await revival.revive(PROVIDER, new Date(row.now - 3_600_000), OPERATOR);
    });
  }

  async #turn(about: About, work: (before: Sight) => Promise<unknown> | void): Promise<void> {
    const before = this.#sight;
    await work(before);
    this.#sight = await this.#look();
    const turn: Turn = { attempts: [], ...about, before, after: this.#sight };
    this.#ofConnections.check(turn);
    this.#ofProvider.check(turn);
  }

  async #look(): Promise<Sight> {
    return { rows: await this.#reader.rows(), state: await this.#reader.state() };
  }

  #start(): Engine {
    return new Engine(this.ground, this.#settings, this.#grantor);
  }

  #engineOf(replica: number): Engine {
    const engine = this.#engines[replica % REPLICAS];
    if (!engine) throw new Error('there is no such replica');
    return engine;
  }

  #rowOf(company: number): Row {
    const row = this.#sight.rows.get(String((company % this.#sight.rows.size) + 1));
    if (!row) throw new Error('there is no such company');
    return row;
  }
}

const NOTHING_KNOWN = {
  isPaused: false,
  isMass: false,
  isMisconfigured: false,
  closedUntil: null,
  probeAt: null,
};

const SETTINGS: SharedProviderSettings = {
  name: PROVIDER,
  baseUrl: null,
  rotation: 'unknown',
  deadGrantCodes: [],
  clientErrorCodes: [],
  rotateAfterSeconds: 86_400,
  timeoutMs: 10_000,
  ratePerSecond: 400,
  concurrency: 8,
  renewBetween: [0.6, 0.8],
  allowPrivate: false,
  publicUrl: 'https://broker.example',
};

/** Neither well nor ended, and not put off to a time when it will come right. */
function isAiling(row: Row): boolean {
  const { status, renewAt, now, token, expiresAt, leaseOwner } = row;
  if (status === 'revoked' || status === 'paused' || (status === DEAD && renewAt === null)) return false;
  if (leaseOwner !== null || token === null) return true;
  const isPutOff = row.unknown !== null && renewAt !== null && renewAt > now;
  return status !== 'active' || (expiresAt !== null && expiresAt <= now) || (row.failures > 0 && !isPutOff);
}
