import { parseCookie, stringifySetCookie } from 'cookie';
import { type Answer, htmlAnswer, redirectAnswer } from './answer.js';

/** The cookie by which a browser says who sits before it. */
const USER_COOKIE = 'simulated_user';

/** A `Set-Cookie` that makes this the user of a browser. */
export function rememberUser(name: string): string {
  return stringifySetCookie({ name: USER_COOKIE, value: name, path: '/', sameSite: 'lax' });
}

/** Who gives consent in this browser. */
export function userOf(cookies: string | undefined, fallback: string): string {
  return parseCookie(cookies ?? '')[USER_COOKIE] || fallback;
}

/** An absolute http(s) address; null for anything else. Nothing is sent to a redirect_uri that is none. */
export function redirectUriOf(value: string | null): URL | null {
  const uri = URL.parse(value ?? '');
  return uri !== null && /^https?:$/.test(uri.protocol) ? uri : null;
}

/** Sends the browser back with these parameters added; null ones are left out. */
export function sendBack(redirectUri: URL, parameters: Readonly<Record<string, string | null>>): Answer {
  const target = new URL(redirectUri);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null) target.searchParams.set(name, value);
  }
  return redirectAnswer(target.href);
}

/**
 * Asks the person before the browser.
 * @param url path and query as the browser asked for them: the page's links repeat it with the decision added
 */
export function askPage(question: string, scopes: readonly string[], url: string): Answer {
  const link = (decision: string): string => `<a href="${escapeHtml(`${url}&decision=${decision}`)}">`;
  return htmlAnswer(
    200,
    `<!doctype html>
<title>Simulated consent</title>
<h1>${escapeHtml(question)}</h1>
<p>It asks for: ${escapeHtml(scopes.join(', ') || 'nothing')}</p>
<p>${link('approve')}Approve</a> ${link('deny')}Deny</a></p>
`,
  );
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
