import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { whenSessionEnds, type Refusal } from './api.js';
import { usePlace } from './place.js';
import { pagesFor } from './pages.js';
import { SignInPage } from './pages/sign-in.js';
import { NotSignedOut, Notices } from './parts/notice.js';
import { findSession, prolongWhileUsed, SessionProvided, signOut, type Session } from './session.js';

/** The whole console: who is there, where they are, and what they may see there. */
export function Console(): JSX.Element {
  const [session, setSession] = useState<Session | null>();
  const [hasEnded, setEnded] = useState(false);
  /** Why signing out did not do all that it should. */
  const [unended, setUnended] = useState<Refusal>();
  useEffect(() => {
    findSession().then(
      (found) => setSession(found ?? null),
      () => setSession(null),
    );
    return whenSessionEnds(() => {
      setEnded(true);
      setSession(null);
    });
  }, []);
  useEffect(() => (session ? prolongWhileUsed() : undefined), [session]);

  if (session === undefined) return <main class="waiting" aria-busy="true" aria-label="Token Broker" />;
  if (session === null)
    return (
      <SignInPage
        hasEnded={hasEnded}
        unended={unended}
        onSignedIn={(found) => {
          setEnded(false);
          setUnended(undefined);
          setSession(found);
        }}
      />
    );
  const leave = async (): Promise<void> => {
    setUnended(undefined);
    try {
      await signOut();
    } catch (error) {
      setUnended(error as Refusal);
      // A page that only looks as if nobody were there leaves whoever comes next signed in.
      if (await findSession().catch(() => session)) return;
    }
    setSession(null);
  };
  return (
    <SessionProvided value={session}>
      <Frame session={session} unended={unended} onLeave={() => void leave()} />
    </SessionProvided>
  );
}

interface FrameProps {
  readonly session: Session;
  readonly unended: Refusal | undefined;
  readonly onLeave: () => void;
}

function Frame({ session, unended, onLeave }: FrameProps): JSX.Element {
  const { path, filters } = usePlace();
  const pages = pagesFor(session);
  const page = pages.find(({ name }) => name === path[0]) ?? (path.length === 0 ? pages[0] : undefined);
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const where = path.join('/');
  useEffect(() => {
    document.title = `${page?.title ?? 'Nothing here'} · Token Broker`;
    // Whoever cannot see the page is told where a link has led to.
    if (!isFirst.current) {
      main.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    isFirst.current = false;
  }, [where]);
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to what this page shows
      </a>
      <header class="side">
        <a class="brand" href="#/">
          <Mark />
          Token Broker
        </a>
        <nav aria-label="Pages">
          {pages.map(({ name, title }) => (
            <a key={name} href={`#/${name}`} aria-current={name === page?.name ? 'page' : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <div class="who">
          <span title="Whose key this is">{session.name}</span>
          <button type="button" class="quiet" onClick={onLeave}>
            Sign out
          </button>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <NotSignedOut refusal={unended} />
        {page ? page.show(path.slice(1), filters) : <Nowhere hasPages={pages.length > 0} />}
      </main>
      <Notices />
    </div>
  );
}

export function Mark(): JSX.Element {
  return (
    <svg viewBox="0 0 16 16" width="22" height="22" aria-hidden="true" class="mark">
      <rect width="16" height="16" rx="4" />
      <circle cx="6" cy="8" r="2.6" />
      <path d="M8.6 8H13M11.4 8v2.2" />
    </svg>
  );
}

function Nowhere({ hasPages }: { hasPages: boolean }): JSX.Element {
  return (
    <>
      <h1>Nothing here</h1>
      <p>
        {hasPages
          ? 'There is no such page, or your key does not permit it.'
          : 'Your key permits nothing that this console shows. Whoever holds client:admin can give it more.'}
      </p>
    </>
  );
}
