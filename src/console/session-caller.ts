import { Injectable } from '@nestjs/common';
import { ClientStore } from '../clients/client.store.js';
import type { Caller } from '../http/caller.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { TokenProvider } from '../provider/token-provider.js';
import type { Permissions } from '../shared/permission.js';
import type { ConsoleSessionAnswer, Way } from './session-answer.js';

/** Tells a browser whom it speaks for. */
@Injectable()
export class SessionCaller {
  constructor(
    private readonly clients: ClientStore,
    private readonly registry: ProviderRegistry,
  ) {}

  async answer(
    { id, permissions }: Caller,
    { endsAt, until }: { readonly endsAt: Date; readonly until: Date },
  ): Promise<ConsoleSessionAnswer> {
    const name = id === 'admin' ? 'ADMIN_KEY' : ((await this.clients.findById(id))?.name ?? id);
    const providers = this.registry.all().filter((provider) => concerns(permissions, provider.name));
    return {
      signed_in: true,
      client: { id, name },
      permissions: permissions.all,
      providers: providers.map((it) => ({ name: it.name, kind: it.kind, takes: wayOf(it) })),
      ends_at: endsAt.toISOString(),
      until: until.toISOString(),
    };
  }
}

/** Is there a connection of this provider that they may let somebody see or change? */
function concerns(permissions: Permissions, provider: string): boolean {
  const patterns = (['connection:read', 'connection:write'] as const).flatMap((it) =>
    permissions.patternsOf(it),
  );
  return patterns.some(({ segments: [first = '*'] }) => first === '*' || first === provider);
}

function wayOf({ kind, renews, mintsFromCredential }: TokenProvider): Way {
  if (!renews) return 'token';
  if (!mintsFromCredential) return 'consent';
  return kind === 'konnect' ? 'password' : 'nothing';
}
