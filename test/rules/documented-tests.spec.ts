import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const DOCUMENTS = ['README.md', 'SECURITY.md', ...globSync('docs/*.md')];

/** A cell that names a test: the file, and the words by which it is found there. */
const NAMED = /`(test\/[\w/-]+\.spec\.ts)` › ([^|]+?)\s*(?=\|)/g;

/** A title may lie over several lines, and be quoted in either way. */
const squeezed = (text: string): string => text.replace(/\\?['"`‘’]/g, '').replace(/\s+/g, ' ');

describe('the documents', () => {
  it.each(DOCUMENTS)('%s names no spec that is not there', (document) => {
    const named = readFileSync(document, 'utf8').match(/\b(test|src)\/[\w/*.-]+\.spec\.ts/g) ?? [];
    expect(named.filter((file) => globSync(file).length === 0)).toEqual([]);
  });

  it('names for each row of the sellers’ documents a test that is there, by its own words', () => {
    const rows = [...readFileSync('docs/providers.md', 'utf8').matchAll(NAMED)];
    expect(rows.length).toBeGreaterThan(60);
    const missing = rows.filter(
      ([, file = '', words = '']) => !squeezed(readFileSync(file, 'utf8')).includes(squeezed(words)),
    );
    expect(missing.map(([cell]) => cell)).toEqual([]);
  });
});
