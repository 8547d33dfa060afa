/** What development needs could not be started. The message is one line that says what is wrong and what to do. */
export class SurroundingsError extends Error {
  override readonly name = 'SurroundingsError';
}

const WAYS_OUT: Readonly<Record<string, string>> = {
  ENOSPC: 'free some disk space',
  EDQUOT: 'free some disk space',
};

/** The one line for a file system error: which folder, why, what to do. Any other error is returned as it came. */
export function folderError(error: unknown, folder: string): unknown {
  const code = codeOf(error);
  if (code === undefined || error instanceof SurroundingsError) return error;
  const wayOut = WAYS_OUT[code] ?? 'set DATA_DIR to a folder that you may write to';
  const reason = messageOf(error).split(',')[0] ?? code;
  return new SurroundingsError(`The data folder ${folder} cannot be used (${reason}): ${wayOut}.`, {
    cause: error,
  });
}

/** What kind of error the system or PostgreSQL reports, such as EEXIST or 57P03. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The text of an error. Under jest, errors of Node's own modules are no instances of Error, so the class is not asked. */
export function messageOf(error: unknown): string {
  const told = typeof error === 'object' && error !== null && 'message' in error ? error.message : error;
  return String(told);
}
