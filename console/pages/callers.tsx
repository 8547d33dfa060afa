import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { ACTIONS } from '../../src/shared/permission.js';
import type { ClientAnswer } from '../answers.js';
import { call, query } from '../api.js';
import { Ask } from '../parts/ask.js';
import { Choice, Field, valuesOf } from '../parts/form.js';
import { When } from '../parts/marks.js';
import { Empty, Stale, tell } from '../parts/notice.js';
import { More, useList } from '../parts/pages.js';

const LOOK_MS = 10_000;

/** Who may call, and what each may do. Nobody makes a key here: it would have to be shown. */
export function CallersPage(): JSX.Element {
  const [question, setQuestion] = useState<Readonly<Record<string, string>>>({});
  const list = useList<ClientAnswer>(`/v1/clients${query(question)}`, LOOK_MS);
  const [deleted, setDeleted] = useState<ClientAnswer>();
  const ask = (event: SubmitEvent): void => {
    event.preventDefault();
    const { can = '', resource = '' } = valuesOf(event.currentTarget as HTMLFormElement);
    setQuestion(can === '' ? {} : { can, resource: resource || '**' });
  };
  return (
    <>
      <h1>Callers</h1>
      <form class="filters" role="search" onSubmit={ask}>
        <Choice label="Who may" name="can">
          <option value="">Do anything</option>
          {ACTIONS.map((action) => (
            <option key={action} value={action}>
              {action}
            </option>
          ))}
        </Choice>
        <Field label="On" name="resource" placeholder="konnect/companies/42" refusal={list.refusal} />
        <button type="submit">Ask</button>
      </form>
      <Stale refusal={list.refusal} />
      {list.items?.length === 0 && <Empty>Nobody but the holder of ADMIN_KEY.</Empty>}
      {list.items && list.items.length > 0 && (
        <div class="scroll" tabIndex={0} role="group" aria-label="Callers">
          <table>
            <thead>
              <tr>
                <th scope="col">Caller</th>
                <th scope="col">May</th>
                <th scope="col">Last used</th>
                <th scope="col">Ends</th>
                <th scope="col">Comes with</th>
                <th scope="col">
                  <span class="unseen">What can be done</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.items.map((client) => (
                <Row key={client.id} client={client} onDelete={() => setDeleted(client)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <More list={list} />
      {deleted && (
        <Ask
          title={`Delete ${deleted.name}?`}
          yes="Delete"
          onYes={async () => {
            await call('DELETE', `/v1/clients/${deleted.id}`);
            tell(`${deleted.name} is deleted.`);
            await list.look();
          }}
          onClose={() => setDeleted(undefined)}
        >
          <p>
            Its keys end at once, everywhere. Tokens that it has got stay valid until they end: ask the trail
            what it <a href={`#/audit/exposure${query({ actor: deleted.id })}`}>still holds</a>.
          </p>
        </Ask>
      )}
    </>
  );
}

function Row({ client, onDelete }: { client: ClientAnswer; onDelete: () => void }): JSX.Element {
  const { name, permissions, last_used_at, workload, keys, source } = client;
  return (
    <tr>
      <th scope="row" class="name">
        {name}
        {source === 'file' && <small>from CLIENTS_FILE</small>}
      </th>
      <td>
        {permissions.length === 0 && <span class="faint">nothing</span>}
        <ul class="permissions">
          {permissions.map(({ action, resource }) => (
            <li key={`${action} ${resource}`}>
              <b>{action === '*' ? 'everything' : action}</b> {resource}
            </li>
          ))}
        </ul>
      </td>
      <td>
        <When at={last_used_at} none="never" />
      </td>
      <td>
        <When at={endOf(client)} none="never" />
      </td>
      <td class="name">
        {workload ? workload.subject : `${keys.length} ${keys.length === 1 ? 'key' : 'keys'}`}
        {workload && <small>{workload.issuer}</small>}
      </td>
      <td class="row-actions">
        {source === 'api' && (
          <button type="button" class="danger" onClick={onDelete}>
            Delete…<span class="unseen"> {name}</span>
          </button>
        )}
      </td>
    </tr>
  );
}

/** When it can call no more unless somebody does something. */
function endOf({ expires_at, keys, workload }: ClientAnswer): string | null {
  const lastKey = workload
    ? undefined
    : keys
        .map((key) => key.expires_at)
        .sort()
        .at(-1);
  const ends = [expires_at, lastKey].filter((it): it is string => !!it).sort();
  return ends[0] ?? null;
}
