import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const DOCUMENTS = [
  'README.md',
  'SECURITY.md',
  'client/README.md',
  'simulator/README.md',
  ...globSync('docs/*.md'),
];
const LINK = /\]\(([^)\s]+)\)/g;

const textOf = (document: string): string => readFileSync(document, 'utf8');

/** As GitHub names headings. */
function anchorsOf(document: string): string[] {
  return [...textOf(document).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function isThere(document: string, link: string): boolean {
  if (/^https?:/.test(link)) return true;
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? document : join(dirname(document), path);
  return existsSync(target) && (anchor === undefined || anchorsOf(target).includes(anchor));
}

describe('the documents', () => {
  it.each(DOCUMENTS)('%s links to nothing that is not there', (document) => {
    const links = [...textOf(document).matchAll(LINK)].map(([, link = '']) => link);
    expect(links.filter((link) => !isThere(document, link))).toEqual([]);
  });

  it('are all found from their index', () => {
    const index = textOf('docs/README.md');
    const others = globSync('*.md', { cwd: 'docs' }).filter((name) => name !== 'README.md');
    expect(others.filter((name) => !index.includes(`](${name}`))).toEqual([]);
  });

  it('begin with a page that one screen holds, beside its pictures', () => {
    expect(textOf('README.md').split('\n').length).toBeLessThan(90);
  });
});
