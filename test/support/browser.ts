import type { Answer } from './http.js';
import { ask } from './http.js';

/** As much of a seller's browser as an install needs: it keeps cookies per host and follows redirects when told to. */
export class Browser {
  readonly #cookies = new Map<string, string>();

  /** One visit; cookies are sent and kept, a redirect is not followed. */
  async visit(url: string): Promise<Answer> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await ask('GET', url, cookie === '' ? {} : { cookie });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/max-age=0\b/i.test(line)) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return answer;
  }

  /** Visits, and goes on for as long as it is sent to one of `hosts`; the last answer, and where it came from. */
  async follow(url: string, hosts: readonly string[]): Promise<Answer & { url: string }> {
    let at = url;
    for (;;) {
      const answer = await this.visit(at);
      const next = answer.headers.get('location');
      if (next === null || !hosts.includes(new URL(next, at).host)) return { ...answer, url: at };
      at = new URL(next, at).href;
    }
  }

  /** A copy with the same cookies, to go on from here twice. */
  clone(): Browser {
    const copy = new Browser();
    for (const [name, value] of this.#cookies) copy.#cookies.set(name, value);
    return copy;
  }

  get cookies(): readonly string[] {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`);
  }
}
