const whole = new Intl.NumberFormat('en');
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

export function number(value: number): string {
  return whole.format(value);
}

/** With its date and to the second, in the reader's own time. */
export function fullTime(iso: string): string {
  return moment.format(new Date(iso));
}

export function hourOf(iso: string): string {
  return clock.format(new Date(iso));
}

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
] as const;

/** `42 s`, `12 min`, `3 h`, `90 d`. */
export function duration(seconds: number): string {
  const [unit, length] = UNITS.find(([, it]) => Math.abs(seconds) >= it * 1.5) ?? ['s', 1];
  return `${Math.round(Math.abs(seconds) / length)} ${unit}`;
}

/** `in 12 min`, `3 h ago`. */
export function fromNow(iso: string, now = Date.now()): string {
  const seconds = (Date.parse(iso) - now) / 1_000;
  if (Math.abs(seconds) < 2) return 'now';
  return seconds > 0 ? `in ${duration(seconds)}` : `${duration(seconds)} ago`;
}

const STATUS_WORDS = {
  active: 'Active',
  suspect: 'Suspect',
  reauthorization_required: 'Needs a person',
  paused: 'Paused',
  revoked: 'Revoked',
} as const;

export const STATUS_CHOICES = Object.entries(STATUS_WORDS);

export function statusWord(status: string): string {
  return STATUS_WORDS[status as keyof typeof STATUS_WORDS] ?? status;
}

const TROUBLE_WORDS = {
  dead: 'The grant is dead',
  suspect: 'In doubt',
  rotation_overdue: 'Secret overdue',
  lapsing: 'Ends soon, nothing renews it',
  rotation_due: 'Secret due',
} as const;

export function troubleWord(trouble: keyof typeof TROUBLE_WORDS): string {
  return TROUBLE_WORDS[trouble];
}

/** A code of ours as words: `timed_out` is "timed out". */
export function codeWords(code: string): string {
  return code.replaceAll('_', ' ');
}

export function companyName({
  company_id,
  location_id,
}: {
  company_id: string;
  location_id: string | null;
}): string {
  return location_id === null ? company_id : `${company_id} / ${location_id}`;
}
