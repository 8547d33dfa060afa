import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { call, Refusal } from './api.js';

export interface Live<T> {
  readonly value: T | undefined;
  /** Why what is shown may be old, or why nothing is. */
  readonly refusal: Refusal | undefined;
  /** Looks now, and not only when it is time. */
  readonly look: () => Promise<void>;
}

/** What lies at a path, looked at again every few seconds while the page can be seen; undefined: at nothing. */
export function useLive<T>(path: string | undefined, everyMs: number): Live<T> {
  const [value, setValue] = useState<{ path: string; value: T }>();
  const [refusal, setRefusal] = useState<Refusal>();
  /** An answer that was overtaken by another is not shown. */
  const newest = useRef(0);

  const look = useCallback(async () => {
    if (path === undefined) return;
    const turn = (newest.current += 1);
    try {
      const answer = await call<T>('GET', path);
      if (turn !== newest.current) return;
      setValue({ path, value: answer });
      setRefusal(undefined);
    } catch (error) {
      if (turn === newest.current) setRefusal(error as Refusal);
    }
  }, [path]);

  useEffect(() => {
    setRefusal(undefined);
    void look();
    const again = (): void => void (document.visibilityState === 'visible' && look());
    const timer = setInterval(again, everyMs);
    document.addEventListener('visibilitychange', again);
    return () => {
      newest.current += 1;
      clearInterval(timer);
      document.removeEventListener('visibilitychange', again);
    };
  }, [look, everyMs]);

  return { value: value && value.path === path ? value.value : undefined, refusal, look };
}
