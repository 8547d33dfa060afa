import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

/** Without the mark that some put at the front. */
const UTF8 = new TextDecoder();

/**
 * The JSON that an answer holds, whatever type it claims to be: a token that a refresh token was spent for is not thrown
 * away for its label, and parsing runs nothing. Undefined where it holds none.
 *
 * @param most bytes that it may unpack to; beyond them it throws, with Node's code ERR_BUFFER_TOO_LARGE
 */
export async function readJson(body: Buffer, encoding: string | undefined, most: number): Promise<unknown> {
  const bytes = await unpack(body, encoding, most);
  try {
    return bytes && JSON.parse(UTF8.decode(bytes));
  } catch {
    return undefined;
  }
}

/** Nothing packed is asked for. Gzip, which gateways are known to apply all the same, is undone, and nothing else is. */
async function unpack(
  bytes: Buffer,
  encoding = 'identity',
  maxOutputLength: number,
): Promise<Buffer | undefined> {
  if (/^identity$/i.test(encoding)) return bytes;
  if (!/^(x-)?gzip$/i.test(encoding)) return undefined;
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength });
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') throw error;
    return undefined;
  }
}
