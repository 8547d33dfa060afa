import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { PATIENCE_MS } from './chromium.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

export interface Look {
  readonly colorScheme?: 'light' | 'dark';
  readonly width?: number;
  readonly height?: number;
}

/** An operator before the console, and all that their browser did. */
export class OperatorBrowser {
  /** Each address that anything was asked of. */
  readonly asked: string[] = [];
  /** Errors of the page's program, and what the browser refused to do for it. */
  readonly complaints: string[] = [];
  /** Bytes that came over the wire, by address. */
  readonly bytes = new Map<string, number>();

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    private readonly api: string,
  ) {
    page.on('request', (request) => this.asked.push(request.url()));
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      // A refusal of the API is one that the page tells; the browser notes each.
      const isRefusal = /Failed to load resource: the server responded with a status of [45]/.test(
        message.text(),
      );
      if (message.type() === 'error' && !isRefusal) this.complaints.push(message.text());
    });
    page.on('requestfinished', (request) => {
      void request.sizes().then(
        ({ responseBodySize, responseHeadersSize }) =>
          this.bytes.set(request.url(), responseBodySize + responseHeadersSize),
        () => undefined,
      );
    });
  }

  static async open(
    browser: Browser,
    { api }: { api: string },
    { colorScheme = 'light', width = 1240, height = 860 }: Look = {},
  ): Promise<OperatorBrowser> {
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme,
      locale: 'en-GB',
      timezoneId: 'UTC',
    });
    context.setDefaultTimeout(PATIENCE_MS);
    return new OperatorBrowser(context, await context.newPage(), api);
  }

  async goTo(place: string): Promise<void> {
    await this.page.goto(`${this.api}/console${place}`);
  }

  /** Types a credential in, and waits until somebody is there. */
  async signIn(credential: string): Promise<void> {
    await this.goTo('');
    await this.page.getByLabel('Key or workload token').fill(credential);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await this.page.getByRole('button', { name: 'Sign out' }).waitFor();
  }

  /** Goes there by its link, and waits until the page before is gone. */
  async show(page: string): Promise<void> {
    const pages = this.page.getByRole('navigation', { name: 'Pages' });
    await pages.getByRole('link', { name: page, exact: true }).click();
    await pages.locator('[aria-current=page]').getByText(page, { exact: true }).waitFor();
  }

  /** Waits until a text can be seen. */
  async see(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor();
  }

  /** What axe finds wrong with the page as it is: by rule, with what it found it in. */
  async faults(): Promise<string[]> {
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate<{ violations: Violation[] }>('axe.run(document)');
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    );
  }

  /** Of the page's own script; it runs outside of the page's policy. */
  run<T>(script: string): Promise<T> {
    return this.page.evaluate<T>(script);
  }

  async picture(name: string): Promise<void> {
    if (process.env['SCREENSHOTS'] === 'true')
      await this.page.screenshot({ path: `docs/screenshots/${name}.png` });
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}
