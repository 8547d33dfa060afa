import { createInterface } from 'node:readline/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { Environment } from '../config/environment.js';
import { ConfigurationError, EXIT_CONFIGURATION } from '../config/mistakes.js';
import { readSettings } from '../config/settings.js';
import type { Finding } from '../doctor/finding.js';
import type { Trial } from '../doctor/live-trial.js';
import { isId } from '../shared/ids.js';
import { readBroker } from './broker-address.js';
import { runCommand } from './command.js';

interface Options {
  readonly json?: true;
  readonly live?: string;
  readonly company?: string;
  readonly location?: string;
  readonly probe?: string;
  readonly yes?: true;
}

const MARKS = { ok: 'ok     ', warning: 'WARNING', problem: 'PROBLEM' } as const;

/** `npm run cli -- doctor`: what is wrong, and what to do. docs/operations.md has more. */
export function define(command: Command): void {
  command
    .option('--json', 'what was found as JSON')
    .option(
      '--live <provider>',
      'renew a connection twice at a running broker, to see what its provider does',
      id,
    )
    .option('--company <id>', 'with --live: whose connection; a company to try things with', id)
    .option('--location <id>', 'with --live: of one of its locations', id)
    .option(
      '--probe <path>',
      'with --live: a path at the provider that answers 401 to a token that is good no more',
    )
    .option('--yes', 'with --live: do not ask whether that is meant')
    .action((options: Options) => (options.live === undefined ? look(options) : goLive(options)));
}

function id(text: string): string {
  if (!isId(text)) throw new InvalidArgumentError('It must be 1 to 64 of A-Z a-z 0-9 . _ -');
  return text;
}

async function look({ json }: Options): Promise<void> {
  await runCommand('the doctor failed', async () => {
    const environment = new Environment(process.env);
    const findings = await findingsOf(environment);
    const isWrong = findings.some(({ level }) => level === 'problem');
    if (isWrong) process.exitCode ??= 1;
    return json ? `${JSON.stringify({ ok: !isWrong, findings }, null, 2)}\n` : inWords(findings);
  });
}

/** What is wrong with the configuration hides everything else. */
async function findingsOf(environment: Environment): Promise<readonly Finding[]> {
  try {
    const settings = readSettings(environment);
    const { examine } = await import('../doctor/examination.js');
    return await examine(settings);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    process.exitCode = EXIT_CONFIGURATION;
    const remedy = 'Correct it (docs/configuration.md), and ask again: the rest was not looked at.';
    return error.lines.map((what) => ({ about: 'configuration', level: 'problem', what, remedy }));
  } finally {
    environment.close();
  }
}

function inWords(findings: readonly Finding[]): string {
  const lines = findings.map(({ about, name, level, what, remedy }) => {
    const where = name === undefined ? about : `${about} ${name}`;
    return `${MARKS[level]} ${where}: ${what}\n${remedy === undefined ? '' : `        ${remedy}\n`}`;
  });
  const problems = findings.filter(({ level }) => level === 'problem').length;
  const warnings = findings.filter(({ level }) => level === 'warning').length;
  return `${lines.join('')}\n${problems} problems, ${warnings} warnings\n`;
}

async function goLive(options: Options): Promise<void> {
  await runCommand('the trial failed', async () => {
    const { company, live: provider = '', location, probe } = options;
    if (company === undefined)
      throw new ConfigurationError(['--live needs --company: whose connection is to be renewed']);
    const trial = { provider, company, ...(location && { location }), ...(probe && { probe }) };
    const api = readBroker(
      new Environment(process.env),
      new AbortController().signal,
      'provider:admin, connection:read, connection:renew and token:read',
    );
    if (!options.yes && !(await isMeant(trial)))
      throw new Error('nothing was done: say --yes where two renewals of that connection are meant');
    const [{ tryProvider }, { prescribe, inYaml }] = await Promise.all([
      import('../doctor/live-trial.js'),
      import('../doctor/prescription.js'),
    ]);
    const prescription = prescribe(await tryProvider(api, trial));
    if (options.json) return `${JSON.stringify(prescription, null, 2)}\n`;
    const yaml = inYaml(trial, prescription);
    return `${prescription.seen.join('\n')}\n${yaml === '' ? '' : `\nTo write in the providers file:\n\n${yaml}`}`;
  });
}

/** Somebody who sits there is asked. */
async function isMeant({ provider, company, location }: Trial): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const whose = location === undefined ? company : `${company}, location ${location}`;
  const answer = await asking.question(
    `Renew the connection of ${provider}, company ${whose}, twice? [y/N] `,
  );
  asking.close();
  return /^y(es)?$/i.test(answer.trim());
}
