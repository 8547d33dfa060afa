import type { JSX } from 'preact';
import { useCallback, useEffect, useState } from 'preact/hooks';
import { call, Refusal, type Page } from '../api.js';
import { useLive, type Live } from '../live.js';

export interface Listed<T> {
  readonly items: readonly T[] | undefined;
  readonly refusal: Refusal | undefined;
  readonly hasMore: boolean;
  readonly more: () => void;
  readonly look: Live<Page<T>>['look'];
}

/** A list, page after page: the first one stays live, the others are as they were when they were asked for. */
export function useList<T extends { readonly id: string }>(path: string, everyMs: number): Listed<T> {
  const first = useLive<Page<T>>(path, everyMs);
  const [rest, setRest] = useState<{ items: readonly T[]; cursor: string | null }>();
  const [refusal, setRefusal] = useState<Refusal>();
  useEffect(() => setRest(undefined), [path]);

  const cursor = rest ? rest.cursor : (first.value?.next_cursor ?? null);
  const more = useCallback(() => {
    if (cursor === null) return;
    const next = `${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`;
    call<Page<T>>('GET', next).then(
      ({ items, next_cursor }) => {
        setRefusal(undefined);
        setRest((before) => ({ items: [...(before?.items ?? []), ...items], cursor: next_cursor }));
      },
      (error: unknown) => setRefusal(error as Refusal),
    );
  }, [path, cursor]);

  const newest = first.value?.items;
  const known = new Set(newest?.map(({ id }) => id));
  return {
    items: newest && [...newest, ...(rest?.items ?? []).filter(({ id }) => !known.has(id))],
    refusal: first.refusal ?? refusal,
    hasMore: cursor !== null,
    more,
    look: first.look,
  };
}

export function More({ list }: { list: Pick<Listed<unknown>, 'hasMore' | 'more'> }): JSX.Element | null {
  if (!list.hasMore) return null;
  return (
    <p class="more">
      <button type="button" onClick={list.more}>
        Show more
      </button>
    </p>
  );
}
