import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Refusal } from '../api.js';
import { Mark } from '../console.js';
import { Field, useDoing, valuesOf } from '../parts/form.js';
import { Refused } from '../parts/notice.js';
import { signIn, type Session } from '../session.js';

interface SignInProps {
  readonly hasEnded: boolean;
  /** What whoever has signed out has to know. */
  readonly unended: Refusal | undefined;
  readonly onSignedIn: (session: Session) => void;
}

export function SignInPage({ hasEnded, unended, onSignedIn }: SignInProps): JSX.Element {
  const { isBusy, refusal, run } = useDoing();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    document.title = 'Sign in · Token Broker';
    form.current?.querySelector('input')?.focus();
  }, []);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const target = form.current;
    if (!target) return;
    const credential = valuesOf(target)['credential'] ?? '';
    // Sent or not: it does not stay in the page.
    await run(async () => onSignedIn(await signIn(credential)));
    target.reset();
  };
  return (
    <main class="sign-in">
      <h1>
        <Mark />
        Token Broker
      </h1>
      {hasEnded && <p role="status">The session has ended. Sign in again to go on.</p>}
      <Refused refusal={unended} />
      <form ref={form} onSubmit={(event) => void submit(event)}>
        <Field
          label="Key or workload token"
          name="credential"
          type="password"
          required
          hint="Yours, not a service's. It is traded for a session of this browser and kept nowhere."
        />
        <Refused refusal={refusal} />
        <button type="submit" class="main" disabled={isBusy}>
          Sign in
        </button>
      </form>
    </main>
  );
}
