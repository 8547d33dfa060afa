import type { JSX } from 'preact';
import type { ConnectionAnswer } from '../answers.js';
import { useLive } from '../live.js';
import { ConnectionActions } from '../parts/connection-actions.js';
import { Events, type EventsPath } from '../parts/events.js';
import { State, When } from '../parts/marks.js';
import { Stale } from '../parts/notice.js';
import { useSession } from '../session.js';
import { codeWords, companyName, fullTime } from '../words.js';

const LOOK_MS = 2_000;

export function ConnectionPage({ id }: { id: string }): JSX.Element {
  const session = useSession();
  const { value, refusal, look } = useLive<ConnectionAnswer>(
    `/v1/connections/${encodeURIComponent(id)}`,
    LOOK_MS,
  );
  const history: EventsPath = `/v1/audit-events?connection_id=${encodeURIComponent(id)}&limit=20`;
  return (
    <>
      <p class="crumb">
        <a href="#/connections">Connections</a>
      </p>
      {!value && <h1>Connection</h1>}
      <Stale refusal={refusal} />
      {value && (
        <>
          <div class="title">
            <h1>
              {value.provider} · {companyName(value)}
            </h1>
            <State of={value.status} />
          </div>
          <p class={`advice ${value.status}`}>{value.advice}</p>
          <ConnectionActions connection={value} onChanged={look} />
          <Facts connection={value} />
        </>
      )}
      {session.may('audit:read') && value && (
        <section class="card" aria-labelledby="history">
          <h2 id="history">History</h2>
          <Events path={history} isOfOne />
        </section>
      )}
    </>
  );
}

function Facts({ connection: it }: { connection: ConnectionAnswer }): JSX.Element {
  const facts: [string, JSX.Element | string | null][] = [
    ['Token ends', <When at={it.expires_at} none={it.token_version > 0 ? 'never' : '–'} />],
    ['Next try', <When at={it.next_try_at} />],
    ['Last renewed', <When at={it.last_renewed_at} />],
    ['Version', <output aria-label="Version">{it.token_version}</output>],
    ['Fingerprint', it.token_fingerprint && <code>{it.token_fingerprint}</code>],
    ['Scopes', it.scopes.length > 0 ? it.scopes.join(', ') : null],
    ['Missing scopes', it.missing_scopes.length > 0 ? it.missing_scopes.join(', ') : null],
    ['Last error', it.last_error && codeWords(it.last_error)],
    ['Failures in a row', it.consecutive_failures > 0 ? String(it.consecutive_failures) : null],
    [
      'Token type',
      it.token_type ? `${it.token_type}${it.shared_externally ? ', shared outside' : ''}` : null,
    ],
    ['Secret to be replaced', it.rotate_by && <When at={it.rotate_by} />],
    ['Connected', fullTime(it.created_at)],
    ['Id', <code>{it.id}</code>],
  ];
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value !== null)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
