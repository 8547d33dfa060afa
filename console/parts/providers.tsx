import type { JSX } from 'preact';
import type { ProviderAnswer } from '../answers.js';
import { call } from '../api.js';
import { codeWords, duration, number } from '../words.js';
import { useDoing } from './form.js';
import { State, When } from './marks.js';
import { Refused, tell } from './notice.js';

/** What each provider was seen to do, and whether it is asked. */
export function Providers({
  providers,
  onChanged,
}: {
  providers: readonly ProviderAnswer[];
  onChanged: () => Promise<void>;
}): JSX.Element {
  const { isBusy, refusal, run } = useDoing();
  const change = (name: string, verb: 'pause' | 'resume' | 'probe'): void => {
    void run(async () => {
      const answer = await call<{ probe?: { outcome: string } }>('POST', `/v1/providers/${name}/${verb}`);
      tell(answer.probe ? `${name} was probed: ${codeWords(answer.probe.outcome)}.` : `${name} is ${verb}d.`);
      await onChanged();
    });
  };
  return (
    <section class="card" aria-labelledby="providers">
      <h2 id="providers">Providers</h2>
      <Refused refusal={refusal} />
      <div class="scroll" tabIndex={0} role="group" aria-labelledby="providers">
        <table>
          <thead>
            <tr>
              <th scope="col">Provider</th>
              <th scope="col">State</th>
              <th scope="col">Breaker</th>
              <th scope="col">Seen</th>
              <th scope="col" class="count">
                Due
              </th>
              <th scope="col" class="count">
                Active
              </th>
              <th scope="col">
                <span class="unseen">What can be done</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {providers.map((provider) => (
              <tr key={provider.name}>
                <th scope="row">
                  {provider.name}
                  <small>{provider.base_url ?? provider.kind}</small>
                </th>
                <td>
                  <State of={provider.status} word={codeWords(provider.status)} />
                  <Why provider={provider} />
                </td>
                <td>
                  <State of={provider.breaker} word={codeWords(provider.breaker)} />
                  {provider.left_alone_until && (
                    <small>
                      until <When at={provider.left_alone_until} />
                    </small>
                  )}
                </td>
                <td>{seenOf(provider)}</td>
                <td class="count">{number(provider.backlog)}</td>
                <td class="count">{number(provider.connections.active)}</td>
                <td class="row-actions">
                  {provider.status === 'paused' ? (
                    <button type="button" disabled={isBusy} onClick={() => change(provider.name, 'resume')}>
                      Resume<span class="unseen"> {provider.name}</span>
                    </button>
                  ) : (
                    <button type="button" disabled={isBusy} onClick={() => change(provider.name, 'pause')}>
                      Pause<span class="unseen"> {provider.name}</span>
                    </button>
                  )}
                  <button type="button" disabled={isBusy} onClick={() => change(provider.name, 'probe')}>
                    Probe<span class="unseen"> {provider.name}</span>
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Why({ provider }: { provider: ProviderAnswer }): JSX.Element | null {
  const { paused_because, last_error } = provider;
  if (paused_because === 'operator') return <small>by an operator</small>;
  return last_error === null ? null : <small>{codeWords(last_error)}</small>;
}

function seenOf({
  renewal_dialect,
  rotation_observed,
  lifetime_observed,
  clock_skew,
}: ProviderAnswer): string {
  const seen = [
    lifetime_observed !== null && `tokens live ${duration(lifetime_observed)}`,
    rotation_observed === 'rotating' && 'refresh tokens change',
    rotation_observed === 'none' && 'refresh tokens stay',
    renewal_dialect !== null && `speaks ${codeWords(renewal_dialect)}`,
    clock_skew !== null &&
      Math.abs(clock_skew) >= 2 &&
      `clock ${duration(clock_skew)} ${clock_skew > 0 ? 'ahead' : 'behind'}`,
  ].filter(Boolean);
  return seen.length === 0 ? 'nothing yet' : seen.join(', ');
}
