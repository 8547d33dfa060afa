import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';

/** Somebody says that this company has uninstalled the extension. */
export interface UninstallHint {
  readonly provider: string;
  readonly companyId: string;
  /** Proofs that came to nothing so far, since the provider was away. */
  readonly tries: number;
}

/** Seconds between two proofs of the same company: without a signature anybody can ask for them. */
const SPACING_S = 600;
/** With one, only a replay comes faster than this. */
const SIGNED_SPACING_S = 10;

const HINT = {
  text: `insert into uninstall_hints as h (provider, company_id, proof_at) values ($1, $2, broker_now())
         on conflict (provider, company_id) do update set tries = 0, proof_at = least(
           coalesce(h.proof_at, 'infinity'),
           greatest(broker_now(), coalesce(h.proven_at, '-infinity') + make_interval(secs => $3)))`,
};
const TAKE_DUE = {
  name: 'uninstall_hints_take_due',
  text: `with forgotten as (delete from uninstall_hints
                            where proof_at is null and proven_at < broker_now() - interval '1 day'),
              due as (select provider, company_id from uninstall_hints
                      where proof_at <= broker_now() and provider = any($2)
                      order by proof_at limit $1 for update skip locked)
         update uninstall_hints h set proof_at = null, proven_at = broker_now()
         from due where h.provider = due.provider and h.company_id = due.company_id
         returning h.provider, h.company_id as "companyId", h.tries`,
};
const POSTPONE = {
  text: `update uninstall_hints set proof_at = broker_now() + make_interval(secs => $3), tries = tries + 1
         where provider = $1 and company_id = $2 and proof_at is null`,
};

/** The only SQL on `uninstall_hints`. */
@Injectable()
export class UninstallHintStore {
  constructor(private readonly database: Database) {}

  /** Has it proven: at once, or as soon as the last proof is long enough ago. */
  async add(provider: string, companyId: string, isSigned: boolean): Promise<void> {
    await this.database.run(HINT, [provider, companyId, isSigned ? SIGNED_SPACING_S : SPACING_S]);
  }

  /** Those that are to be proven now; each is given to one replica alone. */
  async takeDue(atMost: number, providers: readonly string[]): Promise<UninstallHint[]> {
    return this.database.run<UninstallHint & Record<string, unknown>>(TAKE_DUE, [atMost, providers]);
  }

  /** The provider could not tell: it is asked again. */
  async postpone({ provider, companyId }: UninstallHint): Promise<void> {
    await this.database.run(POSTPONE, [provider, companyId, SPACING_S]);
  }
}
