import type { DataSource } from 'typeorm';
import type { Settings } from '../config/settings.js';
import { Findings, type Finding } from './finding.js';

interface State {
  readonly provider: string;
  readonly misconfigured: boolean;
  readonly paused: boolean;
  readonly massRefused: boolean;
  readonly lastError: string | null;
}

const STATES = `
  select provider, status = 'misconfigured' as misconfigured, paused_at is not null as paused,
    mass_refused_at is not null as "massRefused", last_error as "lastError"
  from provider_states order by provider`;

const HELD = `select provider, count(*)::int as count from connections where status <> 'revoked' group by 1 order by 1`;

/** What the running broker has found out about its providers, and connections of those that it no longer has. */
export async function checkProviderStates(
  settings: Settings,
  dataSource: DataSource,
): Promise<readonly Finding[]> {
  const names = new Set(settings.providers.map(({ name }) => name));
  const states = await dataSource.query<State[]>(STATES);
  const held = await dataSource.query<{ provider: string; count: number }[]>(HELD);
  return [
    ...states.filter(({ provider }) => names.has(provider)).flatMap(ofState),
    ...held
      .filter(({ provider }) => !names.has(provider))
      .flatMap(({ provider, count }) => {
        const findings = new Findings('provider', provider);
        findings.warn(
          `it is not configured, and has ${count} connections that nobody renews`,
          'Configure it again, or revoke its connections.',
        );
        return findings.all;
      }),
  ];
}

function ofState({ provider, misconfigured, paused, massRefused, lastError }: State): readonly Finding[] {
  const findings = new Findings('provider', provider);
  if (misconfigured)
    findings.problem(
      `it refuses the broker's own registration (${lastError})`,
      `Check its client id, secret and endpoints. A corrected secret is tried at once; else POST /v1/providers/${provider}/probe`,
    );
  if (massRefused)
    findings.problem(
      'it was stopped because it refused too many grants at once',
      `Find out why, then POST /v1/providers/${provider}/resume, and /revive for what has died.`,
    );
  if (paused)
    findings.warn('an operator has paused it', `POST /v1/providers/${provider}/resume when it may go on.`);
  return findings.all;
}
