import type { Found, SkipReason, Source } from './entry.js';

/** What there is in all, once it was read from end to end. */
export interface Survey {
  readonly entries: number;
  readonly mistakes: number;
  readonly skipped: ReadonlyMap<SkipReason, number>;
}

/**
 * Reads everything before anything is done. `tell` gets each mistake with its line.
 */
export async function survey(source: Source, tell: (line: number, message: string) => void): Promise<Survey> {
  const found = { entries: 0, mistakes: 0, skipped: new Map<SkipReason, number>() };
  const subjects = new Map<string, number>();
  const extensions = new Map<string, number>();
  const complain = (line: number, message: string): void => {
    found.mistakes += 1;
    tell(line, message);
  };
  for await (const it of source()) {
    if (it.kind === 'mistake') complain(it.line, it.message);
    else if (it.kind === 'skipped') found.skipped.set(it.reason, (found.skipped.get(it.reason) ?? 0) + 1);
    else {
      found.entries += 1;
      const twin = twinOf(it, subjects);
      if (twin !== undefined) complain(it.entry.line, `is for the same company or location as line ${twin}`);
      if (it.extension !== undefined && !extensions.has(it.extension))
        extensions.set(it.extension, it.entry.line);
    }
  }
  if (extensions.size > 1)
    complain(
      [...extensions.values()][1] ?? 0,
      `is of another extension than those before; there are ${[...extensions.keys()].join(', ')}: say which with --extension`,
    );
  return found;
}

function twinOf({ entry }: Found & { kind: 'entry' }, subjects: Map<string, number>): number | undefined {
  const subject = entry.locationId === null ? entry.companyId : `${entry.companyId}/${entry.locationId}`;
  const twin = subjects.get(subject);
  if (twin === undefined) subjects.set(subject, entry.line);
  return twin;
}
