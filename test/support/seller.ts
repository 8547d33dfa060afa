import { Browser } from './browser.js';
import type { Json } from './http.js';
import { API_KEY, type World } from './world.js';

/** Where an extension is opened: a broker, and the hosts of its providers, on which the browser goes on by itself. */
export interface Opening {
  readonly public: string;
  readonly clientId?: string;
  readonly via?: readonly string[];
}

/** A seller before a browser of their own, as Fynd knows them. */
export class Seller {
  private constructor(
    private readonly world: World,
    readonly browser: Browser,
  ) {}

  static async of(world: World, user: string): Promise<Seller> {
    const browser = new Browser();
    await browser.visit(`${world.simulator.url}/_simulator/user/${user}`);
    return new Seller(world, browser);
  }

  /** Opens the extension from Fynd and agrees; what the browser is left with, and the address that it is sent to. */
  async open(
    at: Opening,
    companyId: string,
    more: Record<string, string> = {},
  ): Promise<{ status: number; text: string; landing: URL | null }> {
    const { clientId = API_KEY, via = [this.world.simulator.url] } = at;
    const query = new URLSearchParams({ company_id: companyId, client_id: clientId, ...more });
    const hosts = [at.public, ...via].map((address) => new URL(address).host);
    const { status, text, headers } = await this.browser.follow(
      `${at.public}/fp/install?${String(query)}`,
      hosts,
    );
    const location = headers.get('location');
    return { status, text, landing: location === null ? null : new URL(location) };
  }

  /** Goes as far as having agreed: the address that the browser is about to come back to. */
  async agree(at: Opening, companyId: string): Promise<URL> {
    const query = new URLSearchParams({ company_id: companyId, client_id: at.clientId ?? API_KEY });
    const begun = await this.browser.visit(`${at.public}/fp/install?${String(query)}`);
    const agreed = await this.browser.visit(begun.headers.get('location') ?? '');
    return new URL(agreed.headers.get('location') ?? '');
  }
}

/** What Fynd's API makes of a token: whose it is, and of what kind. */
export async function atFynd(world: World, token: unknown): Promise<Json & { status: number }> {
  const path = '/service/platform/configuration/v1.0/application';
  const answer = await world.simulator.get(path, { authorization: `Bearer ${String(token)}` });
  return { ...((await answer.json()) as Json), status: answer.status };
}
