import type { Seen, Trial } from './live-trial.js';

/** What was seen, in words, and the settings to write for it. */
export interface Prescription {
  readonly seen: readonly string[];
  /** By their names in the providers file. */
  readonly settings: Readonly<Record<string, string>>;
}

export function prescribe(seen: Seen): Prescription {
  const lines: string[] = [];
  const settings: Record<string, string> = {};
  if (seen.kind === 'fynd-platform' && seen.dialect !== null) {
    lines.push(`It renews in the ${seen.dialect === 'library' ? "libraries'" : "document's"} dialect.`);
    settings['renewal'] = seen.dialect;
  }
  if (seen.rotation === 'none') {
    lines.push('The same refresh token went on working: it may be sent again after a lost answer.');
    settings['rotation'] = 'none';
  } else if (seen.rotation === 'rotating') {
    lines.push(
      'Another refresh token came with each renewal. Whether the former is let pass for a while (grace) cannot be told without ' +
        'sending it again, which may end the grant: the broker does not.',
    );
    settings['rotation'] = 'strict';
  }
  lines.push(lifetimeOf(seen));
  if (seen.isSameToken)
    lines.push('Renewing brought the same token: a new one comes when that is about to end.');
  else if (seen.endsFormer === true)
    lines.push(
      'A new token ends the one before: let callers report a 401, and nobody else mint tokens from this grant.',
    );
  else if (seen.endsFormer === false)
    lines.push('The token before stays good beside the new one, until it ends by itself.');
  else
    lines.push(
      'Whether a new token ends the one before was not seen: name a path that answers 401 with --probe.',
    );
  return { seen: lines, settings };
}

function lifetimeOf({ lifetimeS, endsAt }: Seen): string {
  if (lifetimeS !== null) return `Its tokens live ${lifetimeS} s, as it says.`;
  if (endsAt === null) return 'Its tokens do not end.';
  return 'It does not say how long its tokens live: they are taken to live as long as token_ttl says.';
}

/** As it stands in the providers file. */
export function inYaml({ provider }: Trial, { settings }: Prescription): string {
  const lines = Object.entries(settings).map(([name, value]) => `    ${name}: ${value}\n`);
  return lines.length === 0 ? '' : `providers:\n  ${provider}:\n${lines.join('')}`;
}
