import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { LinkAnswer } from '../answers.js';
import { call } from '../api.js';
import { useDoing } from './form.js';
import { When } from './marks.js';
import { Refused, tell } from './notice.js';

/** A link on which a seller consents, made as soon as it is shown. */
export function ConsentLink({ provider, companyId }: { provider: string; companyId: string }): JSX.Element {
  const [link, setLink] = useState<LinkAnswer>();
  const { refusal, run } = useDoing();
  useEffect(() => {
    const path = `/v1/connections/${encodeURIComponent(provider)}/companies/${encodeURIComponent(companyId)}/authorize-link`;
    void run(async () => setLink(await call<LinkAnswer>('POST', path, {})));
  }, [provider, companyId]);
  const copy = (): void => {
    void navigator.clipboard.writeText(link?.url ?? '').then(
      () => tell('Copied.'),
      () => tell('Your browser does not let this page copy: select the link.'),
    );
  };
  return (
    <div class="link">
      <Refused refusal={refusal} />
      {link && (
        <>
          <p>
            Send this to a seller of company {companyId}. It works once, and ends{' '}
            <When at={link.expires_at} />.
          </p>
          <div class="actions">
            <input
              readOnly
              value={link.url}
              aria-label="Link"
              onFocus={(event) => event.currentTarget.select()}
            />
            <button type="button" onClick={copy}>
              Copy
            </button>
            <a class="button" href={link.url} target="_blank" rel="noopener noreferrer">
              Open it here
            </a>
          </div>
        </>
      )}
    </div>
  );
}
