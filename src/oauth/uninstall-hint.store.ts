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
/** Seconds between two signed ones: only a replay comes faster. What was proven for anybody's word holds up none. */
const SIGNED_SPACING_S = 10;
/** Longer than a proof takes: a replica that has not come back by then never will. */
const IN_HAND_S = 120;

/** $3 whether it is signed, $4 and $5 the two spacings. */
const HINT = {
  text: `insert into uninstall_hints as h (provider, company_id, proof_at, signed_at)
         values ($1, $2, broker_now(), case when $3::boolean then broker_now() end)
         on conflict (provider, company_id) do update set
           tries = 0,
           proof_at = least(h.proof_at, greatest(broker_now(), case when $3
             then h.signed_at + make_interval(secs => $5) else h.proven_at + make_interval(secs => $4) end)),
           signed_at = case when not $3 or h.signed_at > broker_now() - make_interval(secs => $5)
             then h.signed_at else broker_now() end`,
};
const TAKE_DUE = {
  name: 'uninstall_hints_take_due',
  text: `with forgotten as (delete from uninstall_hints
                            where proof_at is null and taken_until is null
                              and proven_at < broker_now() - interval '1 day'),
              due as (select provider, company_id from uninstall_hints
                      where (proof_at is not null or taken_until is not null)
                        and coalesce(taken_until, proof_at) <= broker_now() and provider = any($2)
                        -- Whoever paused the provider wants it left alone.
                        and not exists (select from provider_states s
                                        where s.provider = uninstall_hints.provider and s.paused_at is not null)
                      -- A flood of hints from anybody holds up none that is signed.
                      order by coalesce(signed_at > coalesce(proven_at, '-infinity'), false) desc,
                        coalesce(taken_until, proof_at)
                      limit $1 for update skip locked)
         update uninstall_hints h set proof_at = null, proven_at = broker_now(),
           taken_until = broker_now() + make_interval(secs => $3)
         from due where h.provider = due.provider and h.company_id = due.company_id
         returning h.provider, h.company_id as "companyId", h.tries`,
};
const SETTLE = {
  text: `update uninstall_hints set taken_until = null where provider = $1 and company_id = $2`,
};
/** Somebody may have said so again meanwhile, with a signature: then it is due sooner. */
const POSTPONE = {
  text: `update uninstall_hints set taken_until = null, tries = tries + 1,
           proof_at = least(proof_at, broker_now() + make_interval(secs => $3))
         where provider = $1 and company_id = $2`,
};

/** The only SQL on `uninstall_hints`. */
@Injectable()
export class UninstallHintStore {
  constructor(private readonly database: Database) {}

  /** Has it proven: at once, or as soon as the last proof is long enough ago. */
  async add(provider: string, companyId: string, isSigned: boolean): Promise<void> {
    await this.database.run(HINT, [provider, companyId, isSigned, SPACING_S, SIGNED_SPACING_S]);
  }

  /** Those that are to be proven now; each is given to one replica alone, which settles or postpones it. */
  async takeDue(atMost: number, providers: readonly string[]): Promise<UninstallHint[]> {
    const values = [atMost, providers, IN_HAND_S];
    return this.database.run<UninstallHint & Record<string, unknown>>(TAKE_DUE, values);
  }

  /** The proof was made. What was said meanwhile stays. */
  async settle({ provider, companyId }: UninstallHint): Promise<void> {
    await this.database.run(SETTLE, [provider, companyId]);
  }

  /** The provider could not tell: it is asked again. */
  async postpone({ provider, companyId }: UninstallHint): Promise<void> {
    await this.database.run(POSTPONE, [provider, companyId, SPACING_S]);
  }
}
