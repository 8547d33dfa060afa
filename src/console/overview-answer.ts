import { ConnectionAnswer } from '../token/connection-answer.js';
import { TROUBLES, type Trouble } from '../token/connection-outlook.js';
import { ProviderAnswer } from '../token/provider-answer.js';
import { Field, flag, list, nullable, oneOf, time, whole } from '../shared/schema.js';

class OverviewCounts {
  @Field(whole(118), 'In force, and not due.') readonly well!: number;
  @Field(whole(2), 'To be renewed now.') readonly due!: number;
  @Field(whole(0), 'Refused or reported, and not given up.') readonly suspect!: number;
  @Field(
    whole(2),
    'Dead until a person does something: a seller consents, or an operator keeps another secret.',
  )
  readonly reauthorization_required!: number;
  @Field(whole(0)) readonly paused!: number;
  @Field(whole(5)) readonly revoked!: number;
}

class PastHour {
  @Field(time('2026-11-21T22:00:00.000Z')) readonly from!: string;
  @Field(whole(120)) readonly renewed!: number;
  @Field(whole(0)) readonly failed!: number;
}

class NextHour {
  @Field(time('2026-11-21T23:00:00.000Z')) readonly from!: string;
  @Field(whole(120)) readonly expiring!: number;
}

class TroubledAnswer extends ConnectionAnswer {
  @Field(oneOf(TROUBLES)) readonly trouble!: Trouble;
}

/** How all connections stand, on one page. */
export class OverviewAnswer {
  @Field(time()) readonly as_of!: string;
  @Field(OverviewCounts) readonly connections!: OverviewCounts;
  @Field(flag(false), 'There are more due than are counted.') readonly due_is_more!: boolean;
  @Field(list(PastHour), 'The last 24 hours, of the database, this one last.')
  readonly past!: readonly PastHour[];
  @Field(list(NextHour), 'The next 24 hours, this one first.') readonly next!: readonly NextHour[];
  @Field(flag(false), 'There are so many that `next` is told by a sample.')
  readonly next_is_estimated!: boolean;
  @Field(
    nullable({ type: 'array', items: ProviderAnswer }, true),
    'Null to callers without `provider:admin`.',
  )
  readonly providers!: readonly ProviderAnswer[] | null;
  @Field(
    list(TroubledAnswer),
    'What needs a person, the worst first; some of each kind where there are many.',
  )
  readonly attention!: readonly TroubledAnswer[];
}
