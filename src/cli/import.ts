import { access, constants } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { Environment } from '../config/environment.js';
import { ConfigurationError } from '../config/mistakes.js';
import { SKIPPED, type Source } from '../import/entry.js';
import { TooLarge } from '../import/json-values.js';
import { Keeping } from '../import/keeping.js';
import { inWords, meterFor } from '../import/meter.js';
import { digestOf, digestOfFile, Notes } from '../import/notes.js';
import { runImport } from '../import/run.js';
import { credentialsOf, sessionsOf } from '../import/sources.js';
import { survey, type Survey } from '../import/survey.js';
import { isId } from '../shared/ids.js';
import { readBroker } from './broker-address.js';
import { runCommand } from './command.js';

interface Options {
  readonly provider: string;
  readonly dryRun?: true;
  readonly replace?: true;
  readonly atOnce: number;
  readonly notes?: string;
}

type SessionOptions = Options & {
  readonly prefix?: string;
  readonly extension?: string;
  readonly cluster?: string;
};

const MOST_AT_ONCE = 64;

/** What a dry run cannot tell. */
const NOT_ASKED =
  'no broker was asked: what it would refuse, has already or would replace, and whether its key may write, is not known';

/** `npm run cli -- import`: brings what another system has. docs/moving-in.md tells when to run it. */
export function define(command: Command): void {
  shared(command.command('sessions <file>'), 'fynd')
    .description(
      "grants from the session store of an extension on Fynd's library: its SQLite file, or JSON. They are kept paused",
    )
    .option('--prefix <text>', 'only keys with this prefix, as the extension gave it to its storage')
    .option('--extension <api_key>', 'only sessions of this extension')
    .option(
      '--cluster <url>',
      "only sessions of this cluster, as the extension has it ('https://api.fynd.com')",
    )
    .action((file: string, options: SessionOptions) => bring(file, options, sessionsOf(file, options)));
  shared(command.command('credentials <file>'), 'konnect')
    .description('Konnect credentials: CSV with company_id, location_id, username, password, or JSON')
    .option('--no-verify', 'keep them without asking the provider')
    .action((file: string, options: Options & { verify: boolean }) =>
      bring(file, options, credentialsOf(file, options.verify)),
    );
}

function shared(command: Command, provider: string): Command {
  return command
    .option('--provider <name>', "the broker's name for it", providerName, provider)
    .option('--dry-run', 'read everything, tell every mistake in it, and do nothing: no broker is asked')
    .option('--replace', 'also what the broker has already, and may be newer')
    .option('--at-once <number>', `how many at the same time, at most ${MOST_AT_ONCE}`, wholeNumber, 8)
    .option('--notes <folder>', 'where to write how far it came, and what failed (default: beside the file)');
}

function providerName(text: string): string {
  if (!isId(text)) throw new InvalidArgumentError('It must be 1 to 64 of A-Z a-z 0-9 . _ -');
  return text;
}

function wholeNumber(text: string): number {
  if (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= MOST_AT_ONCE) return Number(text);
  throw new InvalidArgumentError(`It must be 1 to ${MOST_AT_ONCE}.`);
}

async function bring(file: string, options: Options, source: Source): Promise<void> {
  await runCommand('the import failed', async () => {
    await access(file, constants.R_OK).catch(() => {
      throw new ConfigurationError([`${file} cannot be read`]);
    });
    const stopping = new AbortController();
    const api = options.dryRun
      ? undefined
      : readBroker(new Environment(process.env), stopping.signal, 'connection:read and connection:write');
    const found = await look(file, source);
    if (!api) return `${found.entries} to be kept${skippedIn(found)}; nothing was done\n${NOT_ASKED}\n`;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
    const notes = await openNotes(file, options);
    if (notes.settled > 0) process.stderr.write(`going on after ${notes.settled} of ${found.entries}\n`);
    const why = await runImport({
      source,
      keeping: new Keeping(api, { provider: options.provider, replace: options.replace ?? false }),
      notes,
      meter: await meterFor(found.entries, process.stderr),
      atOnce: options.atOnce,
    });
    return told(found, notes, why);
  });
}

/** Every mistake is told with its line, and then nothing is done. */
async function look(file: string, source: Source): Promise<Survey> {
  try {
    const found = await survey(source, (line, message) =>
      process.stderr.write(`token-broker: ${basename(file)}:${line}: ${message}\n`),
    );
    if (found.mistakes === 0) return found;
    throw new ConfigurationError([`${found.mistakes} mistakes in ${file}: nothing was done`]);
  } catch (error) {
    if (error instanceof TooLarge)
      throw new ConfigurationError([`${file} is too large for one JSON document: write a value per line`]);
    throw error;
  }
}

async function openNotes(file: string, { notes, provider, replace }: Options): Promise<Notes> {
  const at = (ending: string): string => join(notes ?? dirname(file), `${basename(file)}.${ending}`);
  const of = digestOf(await digestOfFile(file), process.env['BROKER_URL'], provider, String(replace));
  return Notes.open(of, { progress: at('progress.json'), report: at('failed.jsonl') });
}

function told(found: Survey, notes: Notes, why: string | undefined): string {
  const { counts, settled } = notes;
  if (counts.failed > 0) process.stderr.write(`token-broker: what failed is in ${notes.reportFile}\n`);
  if (why !== undefined)
    process.stderr.write(
      `token-broker: ended after ${settled} of ${found.entries}: ${why}. Run it again to go on\n`,
    );
  if (counts.failed > 0 || why !== undefined) process.exitCode = 1;
  return `${inWords(counts)}${skippedIn(found)}\n`;
}

function skippedIn({ skipped }: Survey): string {
  return [...skipped].map(([reason, count]) => `\nskipped: ${count} ${SKIPPED[reason]}`).join('');
}
