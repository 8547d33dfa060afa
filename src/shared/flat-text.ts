/**
 * The same text, in one piece and by itself. What was cut out of a longer text keeps all of that in memory, and what was put
 * together may lie in as many places as it has parts.
 */
export function flat(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
