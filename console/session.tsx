import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { Permissions, type Action } from '../src/shared/permission.js';
import type { ConsoleSessionAnswer, SessionProvider } from './answers.js';
import { call } from './api.js';

/** Who is signed in, and what they may do. The API judges by the same rules, so that nothing hangs on this. */
export class Session {
  readonly name: string;
  readonly providers: readonly SessionProvider[];
  readonly #permissions: Permissions;

  constructor({ client, permissions, providers }: ConsoleSessionAnswer) {
    this.name = client?.name ?? '';
    this.providers = providers;
    this.#permissions = new Permissions(permissions);
  }

  /** On everything, or on one company or location. */
  may(action: Action, resource = '**'): boolean {
    return this.#permissions.permits(action, resource);
  }

  maySome(action: Action): boolean {
    return this.#permissions.permitsSome(action);
  }

  takes(provider: string): SessionProvider['takes'] | undefined {
    return this.providers.find(({ name }) => name === provider)?.takes;
  }
}

const Current = createContext<Session | undefined>(undefined);

export const SessionProvided = Current.Provider;

export function useSession(): Session {
  const session = useContext(Current);
  if (!session) throw new Error('a page was shown to nobody');
  return session;
}

const SESSION = '/console/session';

export async function findSession(): Promise<Session | undefined> {
  const answer = await call<ConsoleSessionAnswer>('GET', SESSION);
  return answer.signed_in ? new Session(answer) : undefined;
}

/** The credential is sent this once, and kept nowhere. */
export async function signIn(credential: string): Promise<Session> {
  return new Session(
    await call<ConsoleSessionAnswer>('POST', SESSION, undefined, { authorization: `Bearer ${credential}` }),
  );
}

export async function signOut(): Promise<void> {
  await call('DELETE', SESSION);
}

const PROLONG_EVERY_MS = 300_000;

/** The session goes on while somebody does something, and not because a page lies open. Ends where the page is left. */
export function prolongWhileUsed(): () => void {
  // When it was prolonged last is not known here.
  let last = 0;
  const used = (): void => {
    if (Date.now() - last < PROLONG_EVERY_MS) return;
    last = Date.now();
    void call('POST', SESSION).catch(() => (last = 0));
  };
  addEventListener('pointerdown', used);
  addEventListener('keydown', used);
  return () => {
    removeEventListener('pointerdown', used);
    removeEventListener('keydown', used);
  };
}
