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
  readonly simulator:
    | { readonly url: string; readonly fynd: boolean; readonly konnect: boolean; readonly connect: boolean }
    | undefined;
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
    // A file of the user's own may name other providers, and these not at all.
    const isShipped = !facts.environment.PROVIDERS_FILE;
    const steps = [
      ...(facts.demoConnected ? konnectSteps(facts) : []),
      ...(isShipped ? [...fyndSteps(facts), ...connectSteps(facts)] : []),
      ...generalSteps(facts),
    ];
    sections.push(...steps.map(([title, command]) => `${title}\n  ${command}`));
  }
  return `\n${sections.join('\n\n')}\n\n`;
}

/** A title and a command that can be pasted. */
type Step = readonly [title: string, command: string];

function addresses({ internal, public: outside, simulator, environment }: WelcomeFacts): string {
  const standsInFor = simulator && [
    simulator.fynd && 'Fynd Platform',
    simulator.konnect && 'Konnect',
    simulator.connect && 'Connect',
  ];
  const lines: (readonly [string, string | undefined])[] = [
    ['Internal API', internal || 'off'],
    ['Console', internal && `${internal}/console; sign in with the admin key`],
    ['Public routes', outside || 'off'],
    [
      'Simulator',
      standsInFor &&
        `${simulator.url} in place of ${inWords(standsInFor.filter((name) => name !== false))}; it starts empty, so what it gave before is not good any more`,
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
  // Users' own tokens are traded for a ticket that the extension's pages get: there is no token of the company.
  if (environment.FYND_ACCESS_MODE === 'online') return steps;
  return [
    ...steps,
    ['After that, its Fynd Platform token:', get(facts, `/v1/tokens/fynd/companies/${DEMO_COMPANY}`)],
  ];
}

/** The link is good once, for ten minutes, so that it has to be asked for. */
function connectSteps(facts: WelcomeFacts): Step[] {
  if (!facts.simulator?.connect || !facts.public) return [];
  const path = `/v1/connections/connect/companies/${DEMO_COMPANY}/authorize-link`;
  return [
    [
      "A link on which a seller connects Connect; open its url in a browser, or with curl -sSL -b '':",
      ask(facts, '-X POST ', path),
    ],
    ['After that, its Connect token:', get(facts, `/v1/tokens/connect/companies/${DEMO_COMPANY}`)],
  ];
}

function generalSteps(facts: WelcomeFacts): Step[] {
  return [
    ['All connections:', get(facts, '/v1/connections')],
    ['All providers, and what they were seen to do:', get(facts, '/v1/providers')],
    ['Health:', `curl -sS -w '\\n' '${facts.internal}/health/ready'`],
  ];
}

function get(facts: WelcomeFacts, path: string): string {
  return ask(facts, '', path);
}

function ask({ internal, environment }: WelcomeFacts, method: '' | '-X POST ', path: string): string {
  const key = environment.ADMIN_KEY
    ? '$ADMIN_KEY'
    : `$(cat ${singleQuoted(resolve(environment.ADMIN_KEY_FILE ?? ''))})`;
  return `curl -sS ${method}-w '\\n' -H "Authorization: Bearer ${key}" '${internal}${path}'`;
}

function inWords(names: readonly string[]): string {
  return new Intl.ListFormat('en').format(names);
}

function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
