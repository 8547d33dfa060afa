import type { JSX } from 'preact';
import type { ExposedToken } from '../answers.js';
import { query, type Page } from '../api.js';
import { useLive } from '../live.js';
import { goTo } from '../place.js';
import { Field, valuesOf } from './form.js';
import { When } from './marks.js';
import { Empty, Stale } from './notice.js';

const LOOK_MS = 10_000;

/** Which tokens a caller got, and until when each is good: what is to be done where its key was stolen. */
export function Exposure({ actor }: { actor: string }): JSX.Element {
  const path = actor === '' ? undefined : `/v1/audit-events/exposure${query({ actor, limit: '200' })}`;
  const { value, refusal } = useLive<Page<ExposedToken>>(path, LOOK_MS);
  const items = [...(value?.items ?? [])].sort(
    (one, other) => Number(other.still_valid) - Number(one.still_valid),
  );
  const valid = items.filter((it) => it.still_valid).length;
  return (
    <>
      <form
        key={actor}
        class="filters"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          goTo(`/audit/exposure${query(valuesOf(event.currentTarget))}`);
        }}
      >
        <Field label="Caller, by its name or id" name="actor" required defaultValue={actor} />
        <button type="submit">Ask</button>
      </form>
      <Stale refusal={refusal} />
      {value && (
        <p role="status">
          <strong>
            {valid === 0
              ? 'Nothing that it got is valid any more.'
              : `${valid} of ${items.length} tokens that it got are valid.`}
          </strong>
          {value.next_cursor !== null && ' There are more than are shown here.'}
        </p>
      )}
      {value && items.length === 0 && <Empty>It never got a token.</Empty>}
      {items.length > 0 && (
        <div class="scroll" tabIndex={0} role="group" aria-label="Tokens">
          <table>
            <thead>
              <tr>
                <th scope="col">Token of</th>
                <th scope="col" class="count">
                  Version
                </th>
                <th scope="col">Valid until</th>
                <th scope="col">First got</th>
                <th scope="col">Last got</th>
                <th scope="col">Fingerprint</th>
              </tr>
            </thead>
            <tbody>
              {items.map((it) => (
                <tr key={`${it.connection_id} ${it.token_version} ${it.token_fingerprint}`}>
                  <th scope="row">
                    {it.connection_id ? (
                      <a href={`#/connections/${it.connection_id}`}>{it.resource}</a>
                    ) : (
                      it.resource
                    )}
                  </th>
                  <td class="count">{it.token_version}</td>
                  <td class={it.still_valid ? 'alarm' : 'faint'}>
                    {it.never_expires ? 'for ever' : <When at={it.valid_until} />}
                  </td>
                  <td>
                    <When at={it.first_at} />
                  </td>
                  <td>
                    <When at={it.last_at} />
                  </td>
                  <td>
                    <code>{it.token_fingerprint}</code>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
