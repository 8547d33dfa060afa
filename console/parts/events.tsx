import type { JSX } from 'preact';
import type { FoundEvent } from '../answers.js';
import { codeWords } from '../words.js';
import { State, When } from './marks.js';
import { Empty, Stale } from './notice.js';
import { More, useList } from './pages.js';

export type EventsPath = `/v1/audit-events?${string}` | '/v1/audit-events';

const LOOK_MS = 4_000;

/** What the trail says, the newest first. */
export function Events({ path, isOfOne = false }: { path: EventsPath; isOfOne?: boolean }): JSX.Element {
  const list = useList<FoundEvent>(path, LOOK_MS);
  return (
    <>
      <Stale refusal={list.refusal} />
      {list.items?.length === 0 && <Empty>The trail has nothing like that.</Empty>}
      {list.items && list.items.length > 0 && (
        <div class="scroll" tabIndex={0} role="group" aria-label="Events">
          <table>
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Who</th>
                <th scope="col">What</th>
                <th scope="col">Outcome</th>
                {!isOfOne && <th scope="col">Of what</th>}
                <th scope="col" class="count">
                  Version
                </th>
                <th scope="col">From</th>
              </tr>
            </thead>
            <tbody>
              {list.items.map((it) => (
                <tr key={it.id}>
                  <td>
                    <When at={it.last_at} />
                    {it.count > 1 && <small>{it.count} times</small>}
                  </td>
                  <td class="name">{it.actor_name ?? it.actor}</td>
                  <td>
                    {it.action === '*' ? 'request' : it.action}
                    {it.reason && <small>{codeWords(it.reason)}</small>}
                  </td>
                  <td>
                    <State of={it.outcome} word={it.outcome} />
                  </td>
                  {!isOfOne && (
                    <td>
                      {it.connection_id ? (
                        <a href={`#/connections/${it.connection_id}`}>{it.resource}</a>
                      ) : (
                        it.resource
                      )}
                    </td>
                  )}
                  <td class="count">{it.token_version ?? ''}</td>
                  <td class="faint">{it.source_ip ?? ''}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <More list={list} />
    </>
  );
}
