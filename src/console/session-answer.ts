import { ACTIONS, type Permission } from '../shared/permission.js';
import { Field, flag, list, nullable, oneOf, text, time } from '../shared/schema.js';

class SessionClient {
  @Field(text('admin')) readonly id!: string;
  @Field(text('ADMIN_KEY')) readonly name!: string;
}

class SessionPermission implements Permission {
  @Field(oneOf([...ACTIONS, '*'])) readonly action!: Permission['action'];
  @Field(text('konnect/companies/42/**')) readonly resource!: string;
}

/** What somebody has to bring so that a provider's connection has a token. */
export const WAYS = ['consent', 'password', 'token', 'nothing'] as const;

export type Way = (typeof WAYS)[number];

export class SessionProvider {
  @Field(text('konnect')) readonly name!: string;
  @Field(text('konnect')) readonly kind!: string;
  @Field(
    oneOf(WAYS),
    "A seller's consent, a username with its password, a token that a person made, or nothing.",
  )
  readonly takes!: Way;
}

/** Who sits before this browser. */
export class ConsoleSessionAnswer {
  @Field(flag(true)) readonly signed_in!: boolean;
  @Field(nullable(SessionClient)) readonly client!: SessionClient | null;
  @Field(list(SessionPermission)) readonly permissions!: readonly Permission[];
  @Field(list(SessionProvider), 'Those of which the caller may read or write anything.')
  readonly providers!: readonly SessionProvider[];
  @Field(nullable(time()), 'When it ends if nothing is done.') readonly ends_at!: string | null;
  @Field(nullable(time()), 'When it ends whatever is done.') readonly until!: string | null;
}
