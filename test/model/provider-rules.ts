import type { Attempt } from './attempt.js';
import type { Clocks } from './clocks.js';
import { DEAD, LEASE_MS, TIMEOUT_MS } from './connection-rules.js';
import type { Scene } from './step.js';
import { mustBe, type Turn } from './turn.js';

/** No more grants may end within ten minutes than these, of as few connections as a story has. */
const MOST_DEAD = 3;
const WINDOW_MS = 600_000;
/** The longest that a 429 closes a provider. */
const MOST_CLOSED_MS = 900_000;
/** Calls in vain for one connection within an hour: a backoff that is drawn to be short takes fewer. */
const MOST_IN_VAIN = 70;
/** What a change from outside, a report or a token that was kept may add to those. */
const MORE_FOR_NEWS = 14;

/** What must be true of all that is asked of one provider, over all replicas. */
export class ProviderRules {
  readonly #claims: Attempt[] = [];
  #dead: { readonly company: string; readonly at: number }[] = [];
  readonly #inVain = new Map<string, { vain: number[]; news: number[] }>();

  constructor(
    private readonly scene: Scene,
    private readonly clocks: Clocks,
  ) {}

  check(turn: Turn): void {
    if (turn.kind === 'claim') this.#claimed(turn);
    this.#died(turn);
    this.#counted(turn);
  }

  #claimed({ attempts, before }: Turn): void {
    const now = this.clocks.here.monotonic();
    this.#claims.push(...attempts);
    const asked = attempts.filter(({ pass }) => pass !== 'everything');
    if (asked.length === 0) return;
    const { state } = before;
    const there = [...before.rows.values()][0]?.now ?? 0;
    const facts = (): unknown => ({
      state,
      there,
      claimed: asked.map(({ company, pass }) => [company, pass]),
    });
    mustBe(!state.isPaused && !state.isMass, 'a provider that is stopped is not asked', facts);
    const closedFor = (state.closedUntil ?? 0) - there;
    // Nobody is left alone for longer: the database's clock was set back, and the engine does not believe it.
    if (asked[0]?.pass !== 'backoff' && closedFor <= MOST_CLOSED_MS)
      mustBe(closedFor <= 1, 'a provider that is left alone is not asked', facts);
    if (state.isMisconfigured) {
      mustBe((state.probeAt ?? 0) <= there + 1, 'a misconfigured provider is probed, not asked', facts);
      mustBe(asked.length === 1, 'one connection probes a misconfigured provider', facts);
    }
    if (this.clocks.apartAt > now - LEASE_MS) return;
    const counted = this.#claims.filter(({ pass }) => pass !== 'everything');
    const begun = counted.filter(({ claim }) => claim.claimedAt > now - 1_000).length;
    mustBe(begun <= this.scene.ratePerSecond, 'no second has more calls than the rate', () => ({ begun }));
    const out = counted.filter(
      ({ state: is, claim }) => is !== 'over' && claim.claimedAt > now - TIMEOUT_MS,
    ).length;
    mustBe(out <= this.scene.concurrency, 'no more calls are out than the cap', () => ({ out }));
  }

  /** Refusals that are surely about one grant, and not about where a lost answer went. */
  #died({ kind, change, before, after }: Turn): void {
    if (kind === 'outside' && (change === 'revive' || change === 'resume_provider')) this.#dead = [];
    if (kind === 'time' && change === 'apart') this.#dead = [];
    for (const [company, row] of after.rows) {
      const former = before.rows.get(company);
      if (row.status !== DEAD || former?.status === DEAD || row.reason === 'lost_in_flight') continue;
      const facts = (): unknown => ({ dead: this.#dead, row });
      mustBe(!before.state.isMass, 'nobody dies of a provider that is stopped', facts);
      this.#dead = this.#dead.filter((one) => one.at > row.now - WINDOW_MS && one.company !== company);
      this.#dead.push({ company, at: row.now });
      mustBe(this.#dead.length <= MOST_DEAD, 'no more die at once than a few', facts);
    }
  }

  #counted({ kind, attempts, company, after }: Turn): void {
    const now = this.clocks.here.monotonic();
    const at = (name: string): { vain: number[]; news: number[] } => {
      const known = this.#inVain.get(name) ?? { vain: [], news: [] };
      this.#inVain.set(name, known);
      return known;
    };
    const isNews = kind === 'outside' || kind === 'adopt' || kind === 'report';
    if (isNews)
      for (const name of company === undefined ? after.rows.keys() : [company]) at(name).news.push(now);
    for (const attempt of attempts) {
      const known = at(attempt.company);
      if (kind === 'deliver' && attempt.outcome?.kind === 'issued') known.news.push(now);
      else if (kind === 'claim' && attempt.pass === 'calendar') known.vain.push(now);
      const lately = (times: number[]): number => times.filter((time) => time > now - 3_600_000).length;
      const most = MOST_IN_VAIN + MORE_FOR_NEWS * lately(known.news);
      mustBe(lately(known.vain) <= most, 'nothing asks again and again', () => ({
        vain: lately(known.vain),
        most,
      }));
    }
  }
}
