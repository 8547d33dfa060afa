import type { JSX } from 'preact';
import { fromNow, fullTime, statusWord } from '../words.js';

const STATUS_TONES: Readonly<Record<string, string>> = {
  active: 'good',
  ok: 'good',
  allowed: 'good',
  closed: 'good',
  suspect: 'warn',
  degraded: 'warn',
  half_open: 'warn',
  retiring: 'warn',
  reauthorization_required: 'bad',
  misconfigured: 'bad',
  denied: 'bad',
  failed: 'bad',
  open: 'bad',
};

/** A state in a word, with a dot in its colour: the word alone says it, too. */
export function State({ of: state, word = statusWord(state) }: { of: string; word?: string }): JSX.Element {
  return <span class={`state ${STATUS_TONES[state] ?? 'calm'}`}>{word}</span>;
}

/** A time as how far away it is; the exact one for whoever points at it. */
export function When({ at, none = '–' }: { at: string | null; none?: string }): JSX.Element {
  if (at === null) return <span class="faint">{none}</span>;
  return (
    <time dateTime={at} title={fullTime(at)}>
      {fromNow(at)}
    </time>
  );
}
