import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { KeyAnswer, KeysAnswer } from '../answers.js';
import { call } from '../api.js';
import { useLive } from '../live.js';
import { Ask } from '../parts/ask.js';
import { State, When } from '../parts/marks.js';
import { Empty, Stale, tell } from '../parts/notice.js';
import { codeWords, number } from '../words.js';

const LOOK_MS = 3_000;

/** The keys that seal what the broker holds: which, and how far a rotation has come. No key is ever here. */
export function KeysPage(): JSX.Element {
  const { value, refusal, look } = useLive<KeysAnswer>('/v1/keys', LOOK_MS);
  const [asking, setAsking] = useState<'rotate' | 'rewrap' | KeyAnswer>();
  if (refusal?.status === 404)
    return (
      <>
        <h1>Keys</h1>
        <Empty>This release does not rotate its keys by itself.</Empty>
      </>
    );
  return (
    <>
      <div class="title">
        <h1>Keys</h1>
        <div class="actions">
          {value && wrappedByOthers(value) && (
            <button type="button" onClick={() => setAsking('rewrap')}>
              Rewrap…
            </button>
          )}
          <button type="button" onClick={() => setAsking('rotate')}>
            Rotate…
          </button>
        </div>
      </div>
      <Stale refusal={refusal} />
      {value && <Progress rotation={value.rotation} />}
      {value && (
        <div class="scroll" tabIndex={0} role="group" aria-label="Keys">
          <table>
            <thead>
              <tr>
                <th scope="col">Key</th>
                <th scope="col">State</th>
                <th scope="col">Made</th>
                <th scope="col" class="count">
                  Rows sealed by it
                </th>
                <th scope="col">Wrapped by</th>
                <th scope="col">
                  <span class="unseen">What can be done</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {value.items.map((key) => (
                <Row key={key.id} of={key} onDestroy={() => setAsking(key)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {asking && <Question about={asking} keys={value} onDone={look} onClose={() => setAsking(undefined)} />}
    </>
  );
}

function Row({ of: key, onDestroy }: { of: KeyAnswer; onDestroy: () => void }): JSX.Element {
  return (
    <tr>
      <th scope="row">
        <code>{key.id}</code>
      </th>
      <td>
        <State of={key.state} word={codeWords(key.state)} />
      </td>
      <td>
        <When at={key.created_at} />
      </td>
      <td class="count">{key.rows === null ? 'not counted yet' : number(key.rows)}</td>
      <td>
        <code>{key.wrapped_by}</code>
      </td>
      <td class="row-actions">
        {key.state === 'retired' && (
          <button type="button" class="danger" onClick={onDestroy}>
            Destroy…<span class="unseen"> {key.id}</span>
          </button>
        )}
      </td>
    </tr>
  );
}

interface QuestionProps {
  readonly about: 'rotate' | 'rewrap' | KeyAnswer;
  readonly keys: KeysAnswer | undefined;
  readonly onDone: () => Promise<void>;
  readonly onClose: () => void;
}

function Question({ about, keys, onDone, onClose }: QuestionProps): JSX.Element {
  const doing =
    (work: () => Promise<string>): (() => Promise<void>) =>
    async () => {
      tell(await work());
      await onDone();
    };
  const first = keys?.key_encryption_keys[0]?.id;
  if (about === 'rotate')
    return (
      <Ask
        title="Seal everything anew?"
        yes="Rotate"
        onYes={doing(async () => {
          await call('POST', '/v1/keys/rotate');
          return 'A rotation has begun.';
        })}
        onClose={onClose}
      >
        <p>
          A new key seals from now on, and every row is sealed anew by it, while tokens are served as ever. A
          key may be destroyed once no row is sealed by it any more.
        </p>
      </Ask>
    );
  if (about === 'rewrap')
    return (
      <Ask
        title={`Wrap every data key by ${first}?`}
        yes="Rewrap"
        onYes={doing(async () => {
          const { rewrapped } = await call<{ rewrapped: number }>('POST', '/v1/keys/rewrap');
          return `${number(rewrapped)} data keys are wrapped by ${first} now.`;
        })}
        onClose={onClose}
      >
        <p>
          Nothing that is sealed is touched. A replica whose ENCRYPTION_KEYS lacks <code>{first}</code> cannot
          start any more: give it to all of them first.
        </p>
      </Ask>
    );
  return (
    <Ask
      title="Destroy this key?"
      yes="Destroy"
      onYes={doing(async () => {
        await call('DELETE', `/v1/keys/${about.id}`);
        return 'The key is destroyed.';
      })}
      onClose={onClose}
    >
      <p>
        <code>{about.id}</code> has sealed nothing that is here any more. A backup that is older than the
        rotation brings its key with it.
      </p>
    </Ask>
  );
}

function wrappedByOthers({ key_encryption_keys: [, ...others] }: KeysAnswer): boolean {
  return others.some(({ data_keys }) => data_keys > 0);
}

function Progress({
  rotation: { rows_left: left, rows: all, trouble },
}: Pick<KeysAnswer, 'rotation'>): JSX.Element {
  return (
    <>
      {left === 0 && <p class="faint">Everything is sealed by keys that are in use.</p>}
      {left !== null && all !== null && left > 0 && (
        <p class="progress">
          <label>
            {number(left)} of {number(all)} rows are still sealed by a former key.
            <progress max={all} value={all - left} />
          </label>
        </p>
      )}
      {trouble !== null && <p class="advice">{trouble}</p>}
    </>
  );
}
