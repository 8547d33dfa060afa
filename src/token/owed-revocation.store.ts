import { Injectable } from '@nestjs/common';
import { Database, type Run } from '../database/database.js';
import type { Sealed } from '../shared/secret.js';

/** A revocation that a provider is to be told. */
export interface OwedRevocation {
  readonly id: string;
  readonly connectionId: string;
  readonly provider: string;
  readonly companyId: string;
  /** The grant and the token, sealed for this row. */
  readonly sealedSecrets: Sealed;
}

/** Nobody else tells the provider while the first try is under way, and for longer than that takes. */
const FIRST_TRY_S = 60;
/** A revocation is owed for a day at most: the secrets must not lie here for ever. */
const OWED_S = 86_400;

const INSERT = {
  text: `insert into owed_revocations (id, connection_id, provider, company_id, sealed_secrets, next_try_at, give_up_at)
         values ($1, $2, $3, $4, $5, broker_now() + make_interval(secs => $6), broker_now() + make_interval(secs => $7))`,
};
/** Gives a row where something else is owed of the same connection: it was revoked, connected again and revoked again. */
const SETTLE = {
  text: `with settled as (delete from owed_revocations where id = $1 returning connection_id)
         select 1 from owed_revocations o join settled on o.connection_id = settled.connection_id
         where o.id <> $1 limit 1`,
};
const GIVE_UP = {
  name: 'owed_revocations_give_up',
  text: `with given_up as (delete from owed_revocations where give_up_at <= broker_now() returning provider, connection_id)
         select distinct g.provider, g.connection_id as "connectionId" from given_up g
         where not exists (select 1 from owed_revocations o
                           where o.connection_id = g.connection_id and o.give_up_at > broker_now())`,
};
/** The next try is noted before it is made, so that a replica that dies in it leaves it to another. Doubling from 1 min. */
const TAKE_DUE = {
  name: 'owed_revocations_take_due',
  text: `with due as (select id from owed_revocations
                      where next_try_at <= broker_now() and give_up_at > broker_now() and provider = any($2)
                      order by next_try_at limit $1 for update skip locked)
         update owed_revocations o set attempts = o.attempts + 1,
           next_try_at = broker_now() + make_interval(mins => least(60, 2 ^ least(o.attempts, 6))::int)
         from due where o.id = due.id returning o.id,
           o.connection_id as "connectionId", o.provider, o.company_id as "companyId", o.sealed_secrets as "sealedSecrets"`,
};

/** The only SQL on `owed_revocations`. */
@Injectable()
export class OwedRevocationStore {
  constructor(private readonly database: Database) {}

  /** Inside of the transaction that revokes. */
  async add(run: Run, owed: OwedRevocation): Promise<void> {
    const { id, connectionId, provider, companyId, sealedSecrets } = owed;
    await run(INSERT, [id, connectionId, provider, companyId, sealedSecrets, FIRST_TRY_S, OWED_S]);
  }

  /** The provider has been told, or never can be: the secrets are gone. True where nothing else of the connection is owed. */
  async settle(id: string): Promise<boolean> {
    return (await this.database.run(SETTLE, [id])).length === 0;
  }

  /** Erases what has been owed for too long; gives the connections of which nothing is owed any more. */
  async giveUp(): Promise<Pick<OwedRevocation, 'provider' | 'connectionId'>[]> {
    return this.database.run<Pick<OwedRevocation, 'provider' | 'connectionId'>>(GIVE_UP);
  }

  /** Those that are due, of these providers; each is given to one replica alone. */
  async takeDue(atMost: number, providers: readonly string[]): Promise<OwedRevocation[]> {
    return this.database.run<OwedRevocation & Record<string, unknown>>(TAKE_DUE, [atMost, providers]);
  }
}
