import type { JSX } from 'preact';
import { ACTIONS } from '../../src/shared/permission.js';
import { query } from '../api.js';
import { Events } from '../parts/events.js';
import { Exposure } from '../parts/exposure.js';
import { Choice, Field, valuesOf } from '../parts/form.js';
import { goTo } from '../place.js';

const FILTERS = ['actor', 'action', 'outcome', 'connection_id', 'from', 'to'] as const;

interface AuditPageProps {
  readonly view: string | undefined;
  readonly filters: Readonly<Record<string, string>>;
}

export function AuditPage({ view, filters }: AuditPageProps): JSX.Element {
  const isExposure = view === 'exposure';
  return (
    <>
      <h1>Audit</h1>
      <nav class="tabs" aria-label="Questions">
        <a href="#/audit" aria-current={isExposure ? undefined : 'page'}>
          What happened
        </a>
        <a href="#/audit/exposure" aria-current={isExposure ? 'page' : undefined}>
          What does a caller still hold?
        </a>
      </nav>
      {isExposure ? <Exposure actor={filters['actor'] ?? ''} /> : <Trail filters={filters} />}
    </>
  );
}

function Trail({ filters }: Pick<AuditPageProps, 'filters'>): JSX.Element {
  const asked = Object.fromEntries(FILTERS.map((name) => [name, filters[name]]));
  const search = (event: SubmitEvent): void => {
    event.preventDefault();
    const { from = '', to = '', ...values } = valuesOf(event.currentTarget as HTMLFormElement);
    goTo(`/audit${query({ ...values, from: inUtc(from), to: inUtc(to) })}`);
  };
  return (
    <>
      <form key={JSON.stringify(asked)} class="filters" role="search" onSubmit={search}>
        <Field label="Who" name="actor" defaultValue={filters['actor'] ?? ''} />
        <Choice label="What" name="action">
          <option value="">Anything</option>
          {ACTIONS.map((action) => (
            <option key={action} value={action} selected={action === filters['action']}>
              {action}
            </option>
          ))}
        </Choice>
        <Choice label="Outcome" name="outcome">
          <option value="">Any</option>
          {['allowed', 'denied', 'failed'].map((outcome) => (
            <option key={outcome} value={outcome} selected={outcome === filters['outcome']}>
              {outcome}
            </option>
          ))}
        </Choice>
        <Field label="Connection's id" name="connection_id" defaultValue={filters['connection_id'] ?? ''} />
        <Field label="From" name="from" type="datetime-local" defaultValue={locally(filters['from'])} />
        <Field label="To" name="to" type="datetime-local" defaultValue={locally(filters['to'])} />
        <button type="submit">Search</button>
      </form>
      <Events path={`/v1/audit-events?${query({ ...asked, limit: '50' }).slice(1)}`} />
    </>
  );
}

/** What a field for a time holds is in the reader's own; empty where there is none. */
function inUtc(local: string): string {
  return local === '' ? '' : new Date(local).toISOString();
}

function locally(utc: string | undefined): string {
  if (!utc || Number.isNaN(Date.parse(utc))) return '';
  const time = new Date(utc);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
