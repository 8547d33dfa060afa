import type { Command } from 'commander';
import type { KeysStatus } from '../vault/data-keys.js';
import { runCommand } from './command.js';
import { withKeys } from './open-keys.js';
import { watchRotation } from './rotation-progress.js';

const FAILURE = 'the keys could not be worked on';

/** Here somebody waits for a count until it ends. Milliseconds. */
const COUNT_PATIENCE_MS = 900_000;

/** `keys status | rotate | wait | rewrap | destroy`: what the API offers to callers, for whoever has the database and the keys. */
export function define(command: Command): void {
  command.description(
    'data keys, which seal what is in the database, and the keys that wrap them (docs/keys.md)',
  );

  command
    .command('status')
    .description('show the data keys, how many rows each has sealed, and which keys wrap them')
    .option('--json', 'for programs')
    .action(({ json }: { json?: boolean }) =>
      runCommand(FAILURE, () =>
        withKeys(async ({ keys }) => {
          const status = await keys.status(COUNT_PATIENCE_MS);
          if (json) return `${JSON.stringify(shown(status))}\n`;
          const { keys: items, wrappedBy, whyNotCounted } = status;
          const lines = items.map(({ id, state, createdAt, rows: sealed, kekId }) =>
            [
              id,
              state.padEnd(8),
              createdAt.toISOString(),
              `${sealed ?? '?'} rows`,
              `wrapped by ${kekId}`,
            ].join('  '),
          );
          const wrapping = [...wrappedBy].map(([id, count]) => `${id} wraps ${count} data keys`);
          const trouble = whyNotCounted === null ? [] : [whyNotCounted];
          return [...lines, ...wrapping, ...trouble, ''].join('\n');
        }),
      ),
    );

  command
    .command('rotate')
    .description('seal with a new data key; the replicas seal anew what is there')
    .option('--wait', 'until they have done so, as by default on a terminal')
    .option('--no-wait', 'only until the key is in use')
    .action(({ wait = process.stderr.isTTY }: { wait?: boolean }) =>
      runCommand(FAILURE, () =>
        withKeys(async ({ keys, note }) => {
          const id = await keys.rotate(note);
          const made = `data key ${id} seals what is new\n`;
          return wait ? made + (await watchRotation(keys)) : made;
        }),
      ),
    );

  command
    .command('wait')
    .description('until the replicas have sealed anew all that an older key has sealed')
    .action(() => runCommand(FAILURE, () => withKeys(({ keys }) => watchRotation(keys))));

  command
    .command('rewrap')
    .description('have the first key of ENCRYPTION_KEYS wrap every data key')
    .action(() =>
      runCommand(FAILURE, () =>
        withKeys(async ({ keys, note }) => `${await keys.rewrap(note)} data keys were wrapped anew\n`),
      ),
    );

  command
    .command('destroy')
    .argument('<id>', 'of a data key')
    .description('destroy a data key that nothing is sealed by')
    .action((id: string) =>
      runCommand(FAILURE, () =>
        withKeys(async ({ keys, note }) => {
          await keys.destroy(id, note);
          return `data key ${id} is destroyed\n`;
        }),
      ),
    );
}

function shown({ keys, rows, countedAt, wrappedBy, whyNotCounted }: KeysStatus): object {
  const wrapped_by = Object.fromEntries(wrappedBy);
  return { keys, rows, counted_at: countedAt, wrapped_by, trouble: whyNotCounted };
}
