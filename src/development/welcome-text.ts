import { resolve } from 'node:path';
import { DEMO_COMPANY, DEMO_LOCATION } from './demo-company.js';

/** What is true of this start. */
export interface WelcomeFacts {
  /** Where the broker listens; empty where that side is off. */
  readonly internal: string;
  readonly public: string;
  /** The environment that the service was started with. */
  readonly environment: NodeJS.ProcessEnv;
  /** Where the simulator listens and for whom it stands in; undefined when the user has given all providers. */
  readonly simulator: { readonly url: string; readonly fynd: boolean; readonly konnect: boolean } | undefined;
  /** Whether the demo company is connected to Konnect. */
  readonly demoConnected: boolean;
}

/** A location that has no credential of its own. */
const LOCATION_WITHOUT_CREDENTIAL = '11';

/** What to do next: every command stands for itself, runs from any folder in bash and zsh, and never shows the key. */
export function welcomeText(facts: WelcomeFacts): string {
  const sections = [
    `Token Broker is running for development. Ctrl-C stops it and all that it has started.\n\n${addresses(facts)}`,
  ];
  if (facts.internal) {
    sections.push('Paste these (the admin key is read from where it is kept):');
    const steps = [
      ...(facts.demoConnected ? konnectSteps(facts) : []),
      ...fyndSteps(facts),
      ...generalSteps(facts),
    ];
    sections.push(...steps.map(([title, command]) => `${title}\n  ${command}`));
  }
  return `\n${sections.join('\n\n')}\n\n`;
}

/** A title and a command that can be pasted. */
type Step = readonly [title: string, command: string];

function addresses({ internal, public: outside, simulator, environment }: WelcomeFacts): string {
  const standsInFor = simulator && [simulator.fynd && 'Fynd Platform', simulator.konnect && 'Konnect'];
  const lines: (readonly [string, string | undefined])[] = [
    ['Internal API', internal || 'off'],
    ['Public routes', outside || 'off'],
    [
      'Simulator',
      standsInFor &&
        `${simulator.url} in place of ${standsInFor.filter(Boolean).join(' and ')}; it starts empty, so what it gave before is not good any more`,
    ],
    ['Admin key', environment.ADMIN_KEY ? 'ADMIN_KEY' : resolve(environment.ADMIN_KEY_FILE ?? '')],
  ];
  return lines.flatMap(([name, value]) => (value ? [`  ${name.padEnd(14)} ${value}`] : [])).join('\n');
}

function konnectSteps(facts: WelcomeFacts): Step[] {
  const company = `/v1/tokens/konnect/companies/${DEMO_COMPANY}`;
  return [
    ['Konnect token of the demo company:', get(facts, company)],
    [
      "Konnect token of one of its locations, by the location's own credential:",
      get(facts, `${company}/locations/${DEMO_LOCATION}`),
    ],
    [
      'A location without a credential, which falls back to the company:',
      get(facts, `${company}/locations/${LOCATION_WITHOUT_CREDENTIAL}?level=location_then_company`),
    ],
  ];
}

function fyndSteps(facts: WelcomeFacts): Step[] {
  const { environment, simulator, public: outside } = facts;
  if (!simulator?.fynd || !outside || environment.FYND_API_KEY === undefined) return [];
  const link = new URL(`${outside.replace(/\/$/, '')}/fp/install`);
  link.searchParams.set('company_id', DEMO_COMPANY);
  link.searchParams.set('client_id', environment.FYND_API_KEY);
  link.searchParams.set('cluster_url', simulator.url);
  const steps: Step[] = [
    ['To install the Fynd extension for the demo company, open this link in a browser:', link.href],
    ['or without a browser:', `curl -sSL -b '' -o /dev/null -w '%{http_code}\\n' '${link.href}'`],
  ];
  return [
    ...steps,
    ['After that, its Fynd Platform token:', get(facts, `/v1/tokens/fynd/companies/${DEMO_COMPANY}`)],
  ];
}

function generalSteps(facts: WelcomeFacts): Step[] {
  return [
    ['All connections:', get(facts, '/v1/connections')],
    ['Health:', `curl -sS -w '\\n' '${facts.internal}/health/ready'`],
  ];
}

function get({ internal, environment }: WelcomeFacts, path: string): string {
  const key = environment.ADMIN_KEY
    ? '$ADMIN_KEY'
    : `$(cat ${singleQuoted(resolve(environment.ADMIN_KEY_FILE ?? ''))})`;
  return `curl -sS -w '\\n' -H "Authorization: Bearer ${key}" '${internal}${path}'`;
}

function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
