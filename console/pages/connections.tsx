import type { JSX } from 'preact';
import { STATUS_CHOICES } from '../words.js';
import type { ConnectionAnswer } from '../answers.js';
import { query } from '../api.js';
import { goTo } from '../place.js';
import { ConnectionTable } from '../parts/connection-table.js';
import { Choice, Field, valuesOf } from '../parts/form.js';
import { Empty, Stale } from '../parts/notice.js';
import { More, useList } from '../parts/pages.js';
import { useSession } from '../session.js';

const LOOK_MS = 4_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const FILTERS = ['company_id', 'location_id', 'provider', 'status', 'rotation'] as const;

export function ConnectionsPage({ filters }: { filters: Readonly<Record<string, string>> }): JSX.Element {
  const session = useSession();
  const asked = Object.fromEntries(FILTERS.map((name) => [name, filters[name]]));
  const list = useList<ConnectionAnswer>(`/v1/connections${query(asked)}`, LOOK_MS);
  const search = (event: SubmitEvent): void => {
    event.preventDefault();
    const values = valuesOf(event.currentTarget as HTMLFormElement);
    const id = values['company_id'] ?? '';
    goTo(UUID.test(id) ? `/connections/${id}` : `/connections${query(values)}`);
  };
  return (
    <>
      <div class="title">
        <h1>Connections</h1>
        {session.maySome('connection:write') && (
          <a class="button main" href="#/connect">
            Connect a company
          </a>
        )}
      </div>
      <form key={JSON.stringify(asked)} class="filters" role="search" onSubmit={search}>
        <Field
          label="Company, or an id"
          name="company_id"
          refusal={list.refusal}
          defaultValue={filters['company_id'] ?? ''}
        />
        <Field
          label="Location"
          name="location_id"
          refusal={list.refusal}
          defaultValue={filters['location_id'] ?? ''}
        />
        <Choice label="Provider" name="provider" defaultValue={filters['provider'] ?? ''}>
          <option value="">Any</option>
          {session.providers.map(({ name }) => (
            <option key={name} value={name} selected={name === filters['provider']}>
              {name}
            </option>
          ))}
        </Choice>
        <Choice label="State" name="status">
          <option value="">Any</option>
          {STATUS_CHOICES.map(([status, word]) => (
            <option key={status} value={status} selected={status === filters['status']}>
              {word}
            </option>
          ))}
        </Choice>
        <Choice label="Secret" name="rotation">
          <option value="">Any</option>
          <option value="due" selected={filters['rotation'] === 'due'}>
            Due
          </option>
          <option value="overdue" selected={filters['rotation'] === 'overdue'}>
            Overdue
          </option>
        </Choice>
        <button type="submit">Search</button>
      </form>
      <Stale refusal={list.refusal} />
      {list.items?.length === 0 && (
        <Empty>There is no such connection, or none that your key may read.</Empty>
      )}
      {list.items && list.items.length > 0 && <ConnectionTable items={list.items} />}
      <More list={list} />
    </>
  );
}
