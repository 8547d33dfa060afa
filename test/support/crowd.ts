import { randomUUID } from 'node:crypto';
import { Secret, type Sealed } from '../../src/shared/secret.js';
import { placeOf } from '../../src/token/connection.js';
import { Vault } from '../../src/vault/vault.js';
import { API_KEY, API_SECRET, type LocalBroker, type World } from './world.js';

/** What a connection of the crowd is like; times are seconds from now. */
export interface CrowdSettings {
  readonly provider: string;
  /** The number of the first company. */
  readonly first?: number;
  readonly expiresInS?: number;
  /** When the calendar looks at it; at once unless said otherwise. */
  readonly renewInS?: number;
}

interface Member {
  readonly id: string;
  readonly companyId: string;
  readonly sealedGrant: Sealed;
  readonly sealedToken: Sealed;
  readonly fingerprint: string;
}

/** How many consents are given at once. */
const AT_ONCE = 20;

/** Many companies that are connected already, sealed as the broker seals them and written in one statement. */
export class Crowd {
  constructor(
    private readonly world: World,
    /** Whose keys seal them. */
    private readonly broker: () => LocalBroker,
  ) {}

  /** Companies whose Konnect credential is any: the simulator takes all passwords but wrong ones. */
  async ofKonnect(count: number, settings: CrowdSettings): Promise<string[]> {
    const { first = 1 } = settings;
    const companies = Array.from({ length: count }, (_, index) => String(first + index));
    return this.#write(
      companies.map((companyId) =>
        this.#seal(settings.provider, companyId, {
          username: companyId,
          password: `test-secret-of-${companyId}`,
        }),
      ),
      settings,
    );
  }

  /** Companies that have installed at the simulator. */
  async ofFynd(count: number, settings: CrowdSettings): Promise<string[]> {
    const { first = 1 } = settings;
    const companies = Array.from({ length: count }, (_, index) => String(first + index));
    const members: Member[] = [];
    while (companies.length > 0) {
      const next = companies.splice(0, AT_ONCE);
      members.push(
        ...(await Promise.all(
          next.map(async (companyId) =>
            this.#seal(settings.provider, companyId, await this.#consent(companyId)),
          ),
        )),
      );
    }
    return this.#write(members, settings);
  }

  /** As if the provider had worked for so long that this many calls may be in flight. */
  async openWindow(provider: string, calls: number): Promise<void> {
    await this.world.sql(
      `insert into provider_states (provider, call_window) values ($1, $2)
       on conflict (provider) do update set call_window = excluded.call_window`,
      [provider, calls],
    );
  }

  async #consent(companyId: string): Promise<{ code: string; refresh_token: string }> {
    const { simulator } = this.world;
    const code = await simulator.consent(companyId, { client_id: API_KEY, scope: 'company/products' });
    const authorization = `Basic ${Buffer.from(`${API_KEY}:${API_SECRET}`).toString('base64')}`;
    const { body } = await simulator.post(
      companyId,
      'offline-token',
      { grant_type: 'authorization_code', code },
      authorization,
    );
    return { code, refresh_token: String(body['refresh_token']) };
  }

  #seal(provider: string, companyId: string, grant: object): Member {
    const vault = this.broker().broker.app.get(Vault);
    const row = { id: randomUUID(), provider, companyId };
    const token = new Secret(`test-secret-first-token-of-${companyId}`);
    return {
      id: row.id,
      companyId,
      sealedGrant: vault.seal(new Secret(JSON.stringify(grant)), placeOf(row, 'sealed_grant')),
      sealedToken: vault.seal(token, placeOf(row, 'sealed_token')),
      fingerprint: vault.fingerprint(token),
    };
  }

  async #write(members: readonly Member[], settings: CrowdSettings): Promise<string[]> {
    const { provider, expiresInS = 600, renewInS = 0 } = settings;
    await this.world.sql(
      `insert into connections (id, provider, company_id, status, scopes, grant_version, sealed_grant, token_version,
         sealed_token, token_type, token_fingerprint, issued_at, expires_at, renewed_lifetime_s, renew_at, lease_epoch)
       select id, $1, company_id, 'active', '{company/products}', 2, sealed_grant, 1, sealed_token, 'Bearer', fingerprint,
         broker_now() - interval '1 minute', broker_now() + make_interval(secs => $2), 3600,
         broker_now() + make_interval(secs => $3), 1
       from unnest($4::uuid[], $5::text[], $6::bytea[], $7::bytea[], $8::text[])
         as t (id, company_id, sealed_grant, sealed_token, fingerprint)`,
      [
        provider,
        expiresInS,
        renewInS,
        members.map(({ id }) => id),
        members.map(({ companyId }) => companyId),
        members.map(({ sealedGrant }) => sealedGrant),
        members.map(({ sealedToken }) => sealedToken),
        members.map(({ fingerprint }) => fingerprint),
      ],
    );
    return members.map(({ companyId }) => companyId);
  }
}
