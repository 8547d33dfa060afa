import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { ConnectionAnswer, RevocationAnswer } from '../answers.js';
import { call, query } from '../api.js';
import { useSession } from '../session.js';
import { companyName, fullTime } from '../words.js';
import { Ask } from './ask.js';
import { ConsentLink } from './consent-link.js';
import { useDoing } from './form.js';
import { Refused, tell } from './notice.js';

/** What may be done to a connection as it stands now, by whoever is signed in. */
export function ConnectionActions({
  connection,
  onChanged,
}: {
  connection: ConnectionAnswer;
  onChanged: () => Promise<void>;
}): JSX.Element {
  const session = useSession();
  const [isRevoking, setRevoking] = useState(false);
  const [isLinking, setLinking] = useState(false);
  const [revoked, setRevoked] = useState<RevocationAnswer>();
  const { isBusy, refusal, run } = useDoing();

  const { id, status, provider, company_id, location_id } = connection;
  const resource = `${provider}/companies/${company_id}${location_id === null ? '' : `/locations/${location_id}`}`;
  const mayWrite = session.may('connection:write', resource);
  const takes = session.takes(provider);
  const isAlive = status === 'active' || status === 'suspect';
  const renews = takes !== 'token';

  const post = (verb: string, done: string): void => {
    void run(async () => {
      const { last_error } = await call<ConnectionAnswer>('POST', `/v1/connections/${id}/${verb}`);
      tell(verb === 'renew' && last_error !== null ? 'The renewal failed; the page says why.' : done);
      await onChanged();
    });
  };
  const revoke = async (): Promise<void> => {
    setRevoked(await call<RevocationAnswer>('DELETE', `/v1/connections/${id}`));
    await onChanged();
  };
  return (
    <>
      <div class="actions">
        {session.may('connection:renew', resource) &&
          renews &&
          (isAlive || status === 'reauthorization_required') && (
            <button type="button" disabled={isBusy} onClick={() => post('renew', 'Renewed.')}>
              Renew now
            </button>
          )}
        {mayWrite && isAlive && renews && (
          <button
            type="button"
            disabled={isBusy}
            onClick={() => post('pause', 'Paused: served while it lives.')}
          >
            Pause
          </button>
        )}
        {mayWrite && status === 'paused' && (
          <button type="button" disabled={isBusy} onClick={() => post('resume', 'Resumed.')}>
            Resume
          </button>
        )}
        {mayWrite && takes === 'consent' && location_id === null && (
          <button type="button" aria-expanded={isLinking} onClick={() => setLinking(!isLinking)}>
            Reconnect link
          </button>
        )}
        {mayWrite && (takes === 'password' || takes === 'token') && (
          <a
            class="button"
            href={`#/connect${query({ provider, company_id, location_id: location_id ?? '' })}`}
          >
            Replace the {takes === 'password' ? 'credential' : 'token'}
          </a>
        )}
        {mayWrite && status !== 'revoked' && (
          <button type="button" class="danger" onClick={() => setRevoking(true)}>
            Revoke…
          </button>
        )}
      </div>
      <Refused refusal={refusal} />
      {isLinking && <ConsentLink provider={provider} companyId={company_id} />}
      {revoked && (
        <p class="advice revoked" role="status">
          {outcomeOf(revoked)}
        </p>
      )}
      {isRevoking && (
        <Ask
          title={`Revoke ${provider} · ${companyName(connection)}?`}
          yes="Revoke"
          onYes={revoke}
          onClose={() => setRevoking(false)}
        >
          <p>
            The broker serves its token to nobody from then on and erases what it has sealed. The provider is
            told where it can be told.
          </p>
          <p>
            <strong>{stillValid(connection)}</strong>
          </p>
        </Ask>
      )}
    </>
  );
}

/** What no revocation here takes back. */
function stillValid({ token_version, expires_at }: ConnectionAnswer): string {
  if (token_version === 0) return 'No token was ever handed out.';
  if (expires_at !== null && Date.parse(expires_at) <= Date.now()) return 'No token of it is valid any more.';
  const until = expires_at === null ? 'for ever' : `until ${fullTime(expires_at)}`;
  return `Unless the provider can be told, whoever holds version ${token_version} of the token can use it ${until}.`;
}

function outcomeOf({ upstream, token_valid_until, still_valid }: RevocationAnswer): string {
  const told = {
    revoked: 'The provider has ended the grant.',
    owed: 'The provider could not be told yet, and is told as soon as it can be.',
    unsupported: 'The provider has no way to be told.',
  }[upstream];
  const until = token_valid_until
    ? `until ${fullTime(token_valid_until)}`
    : still_valid
      ? 'for ever'
      : undefined;
  return `Revoked. ${told} ${until ? `It accepts the token that was handed out ${until}.` : 'Nothing of it is valid any more.'}`;
}
