/** Longer paths would not fit into a cookie beside the rest. */
const LONGEST_PATH = 1_000;
const MOST_DECODINGS = 5;

/** A path that stays on its origin however often somebody behind us decodes it. */
export function isSafePath(path: string): boolean {
  if (path.length > LONGEST_PATH) return false;
  if (/[^\x21-\x7e]/.test(path)) return false;
  let decoded = path;
  for (let round = 0; round < MOST_DECODINGS; round += 1) {
    // One slash to begin with, no second one, no backslash that a browser takes for one, nothing that it strips or hides.
    if (!/^\/(?!\/)/.test(decoded) || /[\\\p{Cc}\p{Cf}]/u.test(decoded)) return false;
    const next = tryDecode(decoded);
    if (next === undefined) return false;
    if (next === decoded) return true;
    decoded = next;
  }
  return false;
}

/**
 * Where a seller lands after consent: the company's page of the extension, or a path that was asked for, on the
 * extension's own origin in either case, with what is handed over in its query. Null where the extension has no pages.
 */
export function landingUrl(
  uiUrl: string | null,
  companyId: string,
  redirectPath: string | undefined,
  handedOver: Readonly<Record<string, string | undefined>> = {},
): string | null {
  if (uiUrl === null) return null;
  const { origin } = new URL(uiUrl);
  const target =
    redirectPath === undefined
      ? new URL(`${uiUrl}/company/${encodeURIComponent(companyId)}`)
      : new URL(redirectPath, origin);
  if (target.origin !== origin) return null;
  for (const [name, value] of Object.entries(handedOver)) {
    if (value !== undefined) target.searchParams.set(name, value);
  }
  return target.href;
}

function tryDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
