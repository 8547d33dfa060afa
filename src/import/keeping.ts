import type { ApiAnswer, BrokerApi } from './broker-api.js';
import type { Entry } from './entry.js';

/** What became of an entry. A failure has the broker's code, and its words, which quote no secret. */
export type Settled =
  | { readonly kind: 'kept' | 'replaced' | 'unchanged' | 'left' }
  | { readonly kind: 'failed'; readonly code: string; readonly detail: string };

/** Something that is true of every entry: there is no use in going on. */
export class Pointless extends Error {}

/** A connection that the broker has, as far as it matters here. */
export interface Known {
  readonly status: string;
  readonly location_id: string | null;
  readonly expires_at: string | null;
}

export interface Wish {
  readonly provider: string;
  /** Also what is there and seems to be no older. */
  readonly replace: boolean;
}

/**
 * The same token ends at the same time, but for whole seconds and the clocks of two machines; another one is asked for
 * after most of its life. Milliseconds.
 */
const SAME_MS = 30_000;

/**
 * Keeps an entry at the broker, unless that would undo something: what it renews itself is left alone, and a grant takes
 * the place of another only while that is paused or dead, and only if it is newer. So nothing happens twice.
 */
export class Keeping {
  constructor(
    private readonly api: BrokerApi,
    private readonly wish: Wish,
  ) {}

  /** Throws Pointless, BrokerAway and Stopped. */
  async keep(entry: Entry): Promise<Settled> {
    const known = await this.#find(entry);
    const verdict = judge(entry, known, this.wish.replace);
    if (verdict !== 'keep') return verdict;
    const { provider } = this.wish;
    const at = entry.locationId === null ? '' : `/locations/${entry.locationId}`;
    const path = `/v1/connections/${provider}/companies/${entry.companyId}${at}`;
    const answer = await this.api.send('PUT', path, entry.offer(this.#now ?? new Date()));
    if (answer.status === 201) return { kind: 'kept' };
    if (answer.status !== 200) return failure(answer);
    if (known === undefined)
      throw new Pointless(
        'this key may write what it may not read, and would replace what it does not see: give it connection:read for the same resources',
      );
    return { kind: 'replaced' };
  }

  /** The broker's time, as it last told. */
  #now: Date | undefined;

  async #find({ companyId, locationId }: Entry): Promise<Known | undefined> {
    const query = new URLSearchParams({ provider: this.wish.provider, company_id: companyId, limit: '200' });
    if (locationId !== null) query.set('location_id', locationId);
    for (;;) {
      const answer = await this.api.send('GET', `/v1/connections?${query.toString()}`);
      if (answer.status !== 200) throw new Pointless(toldBy(answer));
      this.#now = answer.now;
      const { items, next_cursor: next } = answer.body as { items: Known[]; next_cursor: string | null };
      const found = items.find((it) => it.location_id === locationId);
      if (found || next === null) return found;
      query.set('cursor', next);
    }
  }
}

/** What is to be done with an entry, going by what the broker has of it already. */
export function judge(entry: Entry, known: Known | undefined, replace: boolean): Settled | 'keep' {
  if (known === undefined) return 'keep';
  if (known.status === 'revoked') return replace ? 'keep' : { kind: 'left' };
  if (!entry.isGrant) return replace ? 'keep' : { kind: 'unchanged' };
  const isNewer =
    entry.endsAt !== null &&
    entry.endsAt.getTime() > (known.expires_at === null ? 0 : Date.parse(known.expires_at)) + SAME_MS;
  if (known.status === 'paused' || known.status === 'reauthorization_required')
    return replace || isNewer ? 'keep' : { kind: 'unchanged' };
  if (!isNewer || known.expires_at === null) return { kind: 'left' };
  return {
    kind: 'failed',
    code: 'renewed_elsewhere',
    detail:
      'The broker renews this grant, and yet its token here is newer: something else still renews it, too. Stop that first.',
  };
}

/** A verdict on this entry; Pointless where it is one on all of them. */
function failure(answer: ApiAnswer): Settled {
  const { status, limit, retryAfterS } = answer;
  const code = typeof answer.body['code'] === 'string' ? answer.body['code'] : `http_${status}`;
  if (limit === 'proofs')
    throw new Pointless(
      `five credentials were refused within an hour, and the broker proves none of this key for ${Math.ceil((retryAfterS ?? 3_600) / 60)} minutes more: see the report, correct them, and run this again then`,
    );
  if (code === 'provider_not_found') throw new Pointless(toldBy(answer));
  return { kind: 'failed', code, detail: toldBy(answer) };
}

/** In the broker's own words, and those alone: what a gateway writes is not to be trusted with a secret. */
function toldBy({ status, body }: ApiAnswer): string {
  const errors = Array.isArray(body['errors'])
    ? (body['errors'] as { field?: string; message?: string }[])
    : [];
  const fields = errors.map(({ field, message }) => `${field} ${message}`).join('; ');
  const detail = typeof body['code'] === 'string' && typeof body['detail'] === 'string' ? body['detail'] : '';
  return [detail || `the broker answers ${status}`, fields].filter((it) => it !== '').join(' ');
}
