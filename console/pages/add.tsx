import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { ConnectionAnswer } from '../answers.js';
import { call } from '../api.js';
import { ConsentLink } from '../parts/consent-link.js';
import { Choice, Field, useDoing, valuesOf } from '../parts/form.js';
import { Empty, Refused, tell } from '../parts/notice.js';
import { offerOf, SecretFields } from '../parts/secret-fields.js';
import { goTo } from '../place.js';
import { useSession } from '../session.js';

/** A company gets a connection, or an existing one another secret. What is typed in is sent once and shown never again. */
export function AddPage({ filters }: { filters: Readonly<Record<string, string>> }): JSX.Element {
  const session = useSession();
  const { isBusy, refusal, run } = useDoing();
  const [provider, setProvider] = useState(filters['provider'] ?? session.providers[0]?.name ?? '');
  const [linked, setLinked] = useState<string>();
  const form = useRef<HTMLFormElement>(null);
  const takes = session.takes(provider);

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const target = form.current;
    if (!target || !takes) return;
    const values = valuesOf(target);
    const { company_id: company = '', location_id: location = '' } = values;
    if (takes === 'consent') return setLinked(company);
    const path = [
      '/v1/connections',
      provider,
      'companies',
      company,
      ...(location ? ['locations', location] : []),
    ];
    await run(async () => {
      const [first = '', ...rest] = path;
      const url = [first, ...rest.map(encodeURIComponent)].join('/');
      const { id } = await call<ConnectionAnswer>('PUT', url, offerOf(takes, values));
      tell(takes === 'password' ? 'Proven at the provider, and kept.' : 'Kept.');
      goTo(`/connections/${id}`);
    });
    for (const secret of target.querySelectorAll<HTMLInputElement>('input[type=password]')) secret.value = '';
  };

  if (session.providers.length === 0)
    return (
      <>
        <h1>Connect a company</h1>
        <Empty>No provider is configured.</Empty>
      </>
    );
  return (
    <>
      <h1>Connect a company</h1>
      <form ref={form} class="sheet" onSubmit={(event) => void submit(event)}>
        <Choice
          label="Provider"
          name="provider"
          onChange={(event) => {
            setProvider(event.currentTarget.value);
            setLinked(undefined);
          }}
        >
          {session.providers.map(({ name }) => (
            <option key={name} value={name} selected={name === provider}>
              {name}
            </option>
          ))}
        </Choice>
        <div class="pair">
          <Field
            label="Company"
            name="company_id"
            required
            hint="As the provider numbers its companies."
            refusal={refusal}
            defaultValue={filters['company_id'] ?? ''}
          />
          {takes !== 'consent' && (
            <Field
              label="Location"
              name="location_id"
              hint="Empty for the company's own."
              refusal={refusal}
              defaultValue={filters['location_id'] ?? ''}
            />
          )}
        </div>
        {takes && <SecretFields takes={takes} refusal={refusal} />}
        <Refused refusal={refusal} />
        <div class="actions">
          <button type="submit" class="main" disabled={isBusy}>
            {takes === 'consent' ? 'Make a link' : isBusy ? 'Asking the provider…' : 'Prove and keep'}
          </button>
        </div>
      </form>
      {linked && <ConsentLink key={`${provider} ${linked}`} provider={provider} companyId={linked} />}
    </>
  );
}
