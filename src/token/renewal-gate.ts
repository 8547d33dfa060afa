import { Injectable } from '@nestjs/common';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { TokenProvider } from '../provider/token-provider.js';
import { GrantKeeper } from './grant-keeper.js';
import { ProviderStateStore, type Gate, type ProviderState } from './provider-state.store.js';

/** The right to claim and ask. */
export interface OpenGate {
  readonly kind: 'open';
  readonly state: ProviderState;
  /** Only one connection may be claimed: the provider is misconfigured, and this is the look whether it still is. */
  readonly isProbe: boolean;
  readonly leaseS: number;
}

/** Nobody may claim, and why. */
export type ClosedGate = Extract<Gate, { kind: 'closed' }>;

/** Seconds that a lease lasts: twice the time that one call may take. */
export function leaseSeconds(provider: TokenProvider): number {
  return (2 * provider.settings.timeoutMs) / 1_000;
}

/** Asked before every claim: may this provider be bothered now? */
@Injectable()
export class RenewalGate {
  constructor(
    private readonly registry: ProviderRegistry,
    private readonly states: ProviderStateStore,
    private readonly keeper: GrantKeeper,
  ) {}

  /** Throws Problem `provider_not_found`. */
  async of(providerName: string): Promise<OpenGate | ClosedGate> {
    const provider = this.registry.get(providerName);
    const gate = await this.states.gate(provider.name, this.keeper.credentialsFingerprint(provider));
    if (gate.kind === 'closed') return gate;
    return {
      kind: 'open',
      state: gate.state,
      isProbe: gate.kind === 'probe',
      leaseS: leaseSeconds(provider),
    };
  }

  /** Open whatever was said: an operator wants to know how the provider is. Throws Problem `provider_not_found`. */
  async forced(providerName: string): Promise<OpenGate> {
    const provider = this.registry.get(providerName);
    const state = await this.states.find(provider.name);
    return { kind: 'open', state, isProbe: true, leaseS: leaseSeconds(provider) };
  }
}
