import { readFile } from 'node:fs/promises';

/**
 * Who the caller is: a service key, or a file that holds one or a workload's own token (in Kubernetes a projected
 * service-account token). A file is read for each request to the broker, which are few, so that it may change at any time.
 */
export type Credential = { readonly key: string } | { readonly keyFile: string };

/** What to present as a Bearer token. Throws where the file cannot be read or is empty. */
export async function readCredential(credential: Credential): Promise<string> {
  if ('key' in credential) return credential.key;
  const text = (await readFile(credential.keyFile, 'utf8')).trim();
  if (text === '') throw new Error(`${credential.keyFile} is empty: it has to hold a key or a token`);
  return text;
}
