import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { inPublicLane } from '../shared/lane.js';
import { VaultError } from '../vault/vault.js';
import { ConsentProviders } from './consent-providers.js';
import type { FyndPlatformProvider } from './fynd-platform.provider.js';
import { UninstallHintStore, type UninstallHint } from './uninstall-hint.store.js';
import { UninstallProof, type Finding } from './uninstall-proof.js';

const LOOK_EVERY_MS = 1_000;
const PROVEN_AT_ONCE = 5;
const MOST_TRIES = 6;

/** Proves what is said of uninstalls by asking the provider, and draws the conclusion. */
@Injectable()
export class UninstallService {
  readonly #logger = new Logger('Uninstall');
  #looking: Promise<void> | undefined;
  #isFailing = false;

  constructor(
    private readonly providers: ConsentProviders,
    private readonly hints: UninstallHintStore,
    private readonly proof: UninstallProof,
  ) {}

  /** Takes a hint for each of these extensions that the company has; it is proven in the background. */
  async hint(
    companyId: string,
    extensions: readonly (readonly [FyndPlatformProvider, boolean])[],
  ): Promise<void> {
    for (const [{ name }, isSigned] of extensions) {
      if (await this.proof.isWorthwhile(name, companyId)) await this.hints.add(name, companyId, isSigned);
    }
    void this.look();
  }

  /** Proves what is due. Looks never overlap. */
  @Interval(LOOK_EVERY_MS)
  async look(): Promise<void> {
    if (this.providers.extensions.length === 0) return;
    // Hints come from the Internet, and so does the work that they make.
    this.#looking ??= inPublicLane(() => this.#look()).finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  async #look(): Promise<void> {
    try {
      const names = this.providers.extensions.map(({ name }) => name);
      const due = await this.hints.takeDue(PROVEN_AT_ONCE, names);
      // One that cannot be settled takes no other with it; it comes again by itself.
      const settled = await Promise.allSettled(due.map((hint) => this.#settle(hint)));
      const failed = settled.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing)
        this.#logger.warn(`hints wait: ${error instanceof Error ? error.message : 'unknown'}`);
      this.#isFailing = true;
    }
  }

  async #settle(hint: UninstallHint): Promise<void> {
    const provider = this.providers.extensions.find(({ name }) => name === hint.provider);
    const finding = provider ? await this.#prove(provider, hint.companyId) : 'there';
    if (finding === 'unknown' && hint.tries < MOST_TRIES) await this.hints.postpone(hint);
    else await this.hints.settle(hint);
  }

  async #prove(provider: FyndPlatformProvider, companyId: string): Promise<Finding> {
    try {
      return await this.proof.of(provider, companyId);
    } catch (error) {
      // It does not open now and will not soon: it is tried as often as a provider that is away.
      if (!(error instanceof VaultError)) throw error;
      this.#logger.error(error.message);
      return 'unknown';
    }
  }
}
