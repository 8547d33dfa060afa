import type { SharedProviderSettings } from '../../src/config/provider-settings.js';
import type { Claim } from '../../src/token/renewal-attempt.js';
import { Attempt, type Pass } from './attempt.js';
import type { Clocks } from './clocks.js';
import { ConnectionRules } from './connection-rules.js';
import { Engine, type Ground } from './engine.js';
import { GRACE_S, Grantor } from './grantor.js';
import { ProviderRules } from './provider-rules.js';
import { RowReader, type Row, type Sight } from './row.js';
import type { Plan, Scene } from './step.js';
import type { Turn } from './turn.js';

export const PROVIDER = 'model';
const REPLICAS = 3;

const SETTINGS: SharedProviderSettings = {
  name: PROVIDER,
  baseUrl: null,
  rotation: 'unknown',
  graceSeconds: GRACE_S,
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

type About = Pick<Turn, 'kind'> & Partial<Pick<Turn, 'change' | 'company' | 'attempts' | 'wanting'>>;

/** One provider, its books, and three replicas that renew from it: each turn is looked at, and has to keep every rule. */
export class Stage {
  readonly grantor: Grantor;
  readonly attempts: Attempt[] = [];
  readonly #engines: Engine[];
  readonly #settings: SharedProviderSettings;
  readonly #ofConnections: ConnectionRules;
  readonly #ofProvider: ProviderRules;
  readonly #reader: RowReader;
  #sight: Sight | undefined;

  constructor(
    private readonly ground: Ground,
    private readonly clocks: Clocks,
    scene: Scene,
  ) {
    const { ratePerSecond, concurrency, rotation } = scene;
    this.#settings = { ...SETTINGS, ratePerSecond, concurrency, rotation };
    this.grantor = new Grantor(scene.truth, clocks.here);
    this.#ofConnections = new ConnectionRules(scene, this.grantor, clocks);
    this.#ofProvider = new ProviderRules(scene, clocks);
    this.#reader = new RowReader(ground.dataSource, ground.vault, PROVIDER);
    this.#engines = Array.from({ length: REPLICAS }, () => this.#start());
  }

  /** What there is after the last turn. */
  get sight(): Sight {
    if (!this.#sight) throw new Error('nobody has looked yet');
    return this.#sight;
  }

  async look(): Promise<void> {
    this.#sight = await this.#reader.look();
  }

  /** Lets time pass, which changes nothing else. */
  async pass(seconds: number): Promise<void> {
    await this.clocks.go(seconds);
    const { rows, state } = this.sight;
    const later = (row: Row): Row => ({ ...row, now: row.now + seconds * 1_000 });
    this.#sight = { state, rows: new Map([...rows].map(([company, row]) => [company, later(row)])) };
  }

  async claim(
    replica: number,
    pass: Pass,
    plans: readonly Plan[],
    ask: () => Promise<readonly Claim[]>,
    wanting?: number,
  ): Promise<void> {
    const attempts: Attempt[] = [];
    await this.turn({ kind: 'claim', attempts, wanting }, async (before) => {
      for (const [place, claim] of (await ask()).entries()) {
        const atClaim = before.rows.get(claim.claimed.companyId);
        const plan = plans[place % plans.length];
        if (!atClaim || !plan) throw new Error('somebody was claimed who is not there');
        const { commits } = this.#ofConnections.trailOf(atClaim.company);
        const how = { replica: replica % REPLICAS, pass, plan, atClaim, commitsBefore: commits };
        attempts.push(new Attempt(claim, how, this.clocks.here));
      }
    });
    this.attempts.push(...attempts);
    for (const attempt of attempts) await this.#begin(attempt);
  }

  async #begin(attempt: Attempt): Promise<void> {
    const engine = this.engineOf(attempt.replica);
    await this.turn({ kind: 'begin', attempts: [attempt] }, async () => {
      engine.provider.next = attempt;
      attempt.run = engine.renewer.run(attempt.claim).then(({ isKept, early }) => {
        attempt.isKept = isKept || early !== undefined;
        attempt.state = 'over';
      });
      // What is settled before it asks has asked nobody by now.
      await Promise.race([attempt.run, attempt.asked]);
      if (attempt.sentGrant !== null && attempt.plan.until !== 'stalled') await this.#leave(attempt);
    });
    if (attempt.state === 'sent' && attempt.plan.until === 'kept') await this.deliver(attempt, null);
  }

  async send(attempt: Attempt): Promise<void> {
    await this.turn({ kind: 'begin', attempts: [attempt] }, () => this.#leave(attempt));
  }

  async #leave(attempt: Attempt): Promise<void> {
    attempt.release();
    await attempt.left;
    if (attempt.sentAt === null) await attempt.run;
  }

  async deliver(attempt: Attempt, crashAfter: number | null): Promise<void> {
    const { database } = this.engineOf(attempt.replica);
    const change = crashAfter === null ? undefined : 'crash';
    await this.turn({ kind: 'deliver', attempts: [attempt], ...(change ? { change } : {}) }, async () => {
      if (crashAfter !== null) database.dieAfter(crashAfter);
      attempt.answer();
      await Promise.race([attempt.run, database.died]);
      if (crashAfter !== null) this.crash(attempt.replica);
    });
  }

  /** What a dead process was about to do is never done, and nobody hears of what it had heard. */
  crash(which: number): void {
    const replica = which % REPLICAS;
    this.#engines[replica]?.database.dieAfter(0);
    for (const attempt of this.attempts)
      if (attempt.replica === replica && attempt.state !== 'over') attempt.state = 'lost';
    this.#engines[replica] = this.#start();
  }

  async turn(about: About, work: (before: Sight) => Promise<unknown> | void): Promise<void> {
    const before = this.sight;
    await work(before);
    // A call that has merely left has written nothing.
    const hasLeft = about.kind === 'begin' && about.attempts?.every(({ state }) => state !== 'over') === true;
    if (!hasLeft) await this.look();
    const turn: Turn = { attempts: [], ...about, before, after: this.sight };
    this.#ofConnections.check(turn);
    this.#ofProvider.check(turn);
  }

  #start(): Engine {
    return new Engine(this.ground, this.#settings, this.grantor);
  }

  engineOf(replica: number): Engine {
    const engine = this.#engines[replica % REPLICAS];
    if (!engine) throw new Error('there is no such replica');
    return engine;
  }

  rowOf(company: number): Row {
    const row = this.sight.rows.get(String((company % this.sight.rows.size) + 1));
    if (!row) throw new Error('there is no such company');
    return row;
  }
}
