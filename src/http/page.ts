import { createHash } from 'node:crypto';

const STYLE =
  ':root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:34rem;padding:0 1.5rem}' +
  'h1{font-size:1.4rem}';

/** Nothing but our own style may load or run on a page of ours, and no address of it reaches another site. */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

/** A small page: a title, a sentence or two, and perhaps a link. All of them are escaped. */
export function page(title: string, text: string, link: { href: string; label: string } | null): string {
  const anchor = link ? `<p><a href="${escape(link.href)}">${escape(link.label)}</a></p>` : '';
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>${escape(title)}</title><style>${STYLE}</style></head>` +
    `<body><main><h1>${escape(title)}</h1><p>${escape(text)}</p>${anchor}</main></body></html>`
  );
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
