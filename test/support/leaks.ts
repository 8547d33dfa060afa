/** Every secret of a test holds one of these: those that tests make, and those that the simulator mints. */
export const SECRET_MARKS = ['test-secret', 'simulated-secret'] as const;

/** The marks as they may appear: plain, in hex, and in base64 at each of its three alignments. */
const NEEDLES = SECRET_MARKS.flatMap((mark) => [
  mark,
  Buffer.from(mark).toString('hex'),
  ...[0, 1, 2].map((shift) => {
    const encoded = Buffer.from('\0'.repeat(shift) + mark).toString('base64');
    // The first and the last characters depend on what stands around the mark.
    return encoded.slice(shift === 0 ? 0 : shift + 1, encoded.replace(/=+$/, '').length - 1);
  }),
]);

/** A whole service key, whoever made it: what names the key is its first part alone. */
export const SERVICE_KEY = /tbk_[0-9a-f]{16}_[A-Za-z0-9_-]{43}/;

/** The lines in which a secret can be read, cut short; none is what a test wants. */
export function findLeaks(lines: readonly string[]): string[] {
  return lines.filter((line) => SERVICE_KEY.test(line) || holdsMark(line)).map((line) => line.slice(0, 300));
}

function holdsMark(line: string): boolean {
  return NEEDLES.some((needle) => line.includes(needle) || line.toLowerCase().includes(needle));
}
