import { globSync, readFileSync } from 'node:fs';
import { lexer, type Token, type Tokens } from 'marked';

/** A fenced block of a document. */
export interface Snippet {
  readonly document: string;
  /** What the fence names; empty where it names nothing. */
  readonly language: string;
  readonly text: string;
}

/** In the order in which they are run: what `npm start` brings up comes first, what sets the simulator back last. */
export const DOCUMENTS = [
  'README.md',
  'SECURITY.md',
  'client/README.md',
  ...globSync('docs/*.md').sort(),
  'simulator/README.md',
];

/** Every fenced block of a document, also of those within lists. */
export function snippetsOf(document: string): Snippet[] {
  const found: Snippet[] = [];
  const walk = (tokens: readonly Token[]): void => {
    for (const token of tokens) {
      if (token.type === 'code') {
        const { lang = '', text } = token as Tokens.Code;
        found.push({ document, language: lang, text });
      }
      if (token.type === 'list') for (const item of (token as Tokens.List).items) walk(item.tokens);
      if ('tokens' in token && token.tokens) walk(token.tokens);
    }
  };
  walk(lexer(readFileSync(document, 'utf8')));
  return found;
}
