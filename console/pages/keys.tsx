import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { KeysAnswer } from '../answers.js';
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
  const [isAsking, setAsking] = useState(false);
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
        <button type="button" onClick={() => setAsking(true)}>
          Rotate…
        </button>
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
              </tr>
            </thead>
            <tbody>
              {value.items.map((key) => (
                <tr key={key.id}>
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
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {isAsking && (
        <Ask
          title="Seal everything anew?"
          yes="Rotate"
          onYes={async () => {
            await call('POST', '/v1/keys/rotate');
            tell('A rotation has begun.');
            await look();
          }}
          onClose={() => setAsking(false)}
        >
          <p>
            A new key seals from now on, and every row is sealed anew by it, while tokens are served as ever.
            A key may be destroyed once no row is sealed by it any more.
          </p>
        </Ask>
      )}
    </>
  );
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
