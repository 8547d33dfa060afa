import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Refusal } from '../api.js';

interface Notice {
  readonly id: number;
  readonly text: string;
}

/** How long what was done is said, in milliseconds. */
const SAID_MS = 6_000;

let say: ((text: string) => void) | undefined;
let nextId = 0;

/** Says that something was done. */
export function tell(text: string): void {
  say?.(text);
}

/** Where it is said, also to whoever hears the page and does not see it. */
export function Notices(): JSX.Element {
  const [notices, setNotices] = useState<readonly Notice[]>([]);
  useEffect(() => {
    say = (text) => {
      const id = (nextId += 1);
      setNotices((all) => [...all, { id, text }]);
      setTimeout(() => setNotices((all) => all.filter((it) => it.id !== id)), SAID_MS);
    };
    return () => (say = undefined);
  }, []);
  return (
    <div class="notices" role="status">
      {notices.map(({ id, text }) => (
        <p key={id}>{text}</p>
      ))}
    </div>
  );
}

/** Why something was not done, in the API's own words. */
export function Refused({ refusal }: { refusal: Refusal | undefined }): JSX.Element | null {
  if (!refusal) return null;
  return (
    <p class="refused" role="alert">
      {refusal.message}
    </p>
  );
}

/** Somebody wanted to leave, and is still there. */
export function NotSignedOut({ refusal }: { refusal: Refusal | undefined }): JSX.Element | null {
  if (!refusal) return null;
  return (
    <p class="refused" role="alert">
      Signing out has failed: this browser is still signed in.{' '}
      {refusal.status === 0 ? 'The broker cannot be reached.' : refusal.message} Sign out again. If you cannot
      wait, delete this site’s cookies; left alone, the session ends within half an hour, and at once where
      its key is rotated.
    </p>
  );
}

/** Shown above what may be old, or in the place of what could not be had at all. */
export function Stale({ refusal }: { refusal: Refusal | undefined }): JSX.Element | null {
  if (!refusal) return null;
  return (
    <p class="stale" role="alert">
      {refusal.message}
    </p>
  );
}

export function Empty({ children }: { children: ComponentChildren }): JSX.Element {
  return <p class="empty">{children}</p>;
}
