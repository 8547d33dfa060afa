import type { JSX } from 'preact';
import type { SessionProvider } from '../answers.js';
import type { Refusal } from '../api.js';
import { Choice, Field, Tick } from './form.js';

type Takes = SessionProvider['takes'];

interface SecretFieldsProps {
  readonly takes: Takes;
  readonly refusal: Refusal | undefined;
}

/** What a provider wants to have. Nothing that was kept before ever stands in these. */
export function SecretFields({ takes, refusal }: SecretFieldsProps): JSX.Element {
  if (takes === 'consent')
    return <p class="hint">A seller consents at the provider. The link is made for this company alone.</p>;
  if (takes === 'nothing')
    return <p class="hint">The broker has all that it needs to ask this provider for a token.</p>;
  if (takes === 'password')
    return (
      <>
        <Field label="Username" name="username" required refusal={refusal} />
        <Field
          label="Password"
          name="password"
          type="password"
          autocomplete="new-password"
          required
          hint="Proven by a real exchange before it is kept. A refused one changes nothing."
          refusal={refusal}
        />
      </>
    );
  return (
    <>
      <Field
        label="Token"
        name="token"
        type="password"
        autocomplete="new-password"
        required
        refusal={refusal}
      />
      <div class="pair">
        <Choice label="Type" name="token_type">
          <option value="service">Service</option>
          <option value="personal">Personal</option>
          <option value="base">Base</option>
          <option value="test">Test</option>
        </Choice>
        <Field
          label="Ends at"
          name="expires_at"
          type="datetime-local"
          hint="Empty: never."
          refusal={refusal}
        />
      </div>
      <Field label="Scopes" name="scopes" hint="Separated by commas." refusal={refusal} />
      <Tick label="It is in the hands of somebody outside, too" name="shared_externally" />
    </>
  );
}

/** The body that keeps what was typed in. */
export function offerOf(takes: Takes, values: Readonly<Record<string, string>>): object {
  if (takes === 'password') return { username: values['username'], password: values['password'] };
  if (takes !== 'token') return {};
  const end = values['expires_at'] ?? '';
  return {
    token: values['token'],
    token_type: values['token_type'],
    scopes: (values['scopes'] ?? '')
      .split(',')
      .map((it) => it.trim())
      .filter(Boolean),
    expires_at: end === '' ? null : new Date(end).toISOString(),
    shared_externally: values['shared_externally'] === 'on',
  };
}
