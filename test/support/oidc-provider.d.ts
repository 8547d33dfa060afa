/** As much of `oidc-provider` as the tests use; it comes without types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

  export interface Context {
    readonly path: string;
    readonly req: IncomingMessage;
    readonly res: ServerResponse;
    readonly body: unknown;
    status: number;
    /** False where the answer has been sent by hand. */
    respond: boolean;
    readonly oidc?: {
      readonly client?: { readonly clientId: string };
      readonly params?: Readonly<Record<string, string | undefined>>;
    };
  }

  /** A kind of token, as the server mints and keeps it. */
  export interface Model {
    readonly prototype: { generateTokenId: (this: object) => string };
    readonly adapter: Adapter;
    revokeByGrantId(grantId: string): Promise<void>;
  }

  export interface Adapter {
    upsert(id: string, payload: object): Promise<void>;
    destroy(id: string): Promise<void>;
  }

  export interface Grant {
    addOIDCScope(scope: string): void;
    save(): Promise<string>;
  }

  export class Provider {
    readonly AccessToken: Model;
    readonly AuthorizationCode: Model;
    readonly Client: Model;
    readonly ClientCredentials: Model;
    readonly RefreshToken: Model;
    readonly Grant: (new (of: { accountId: string; clientId: string }) => Grant) & Model;
    constructor(issuer: string, setup: object);
    use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): this;
    callback(): RequestListener;
    interactionDetails(
      req: IncomingMessage,
      res: ServerResponse,
    ): Promise<{ readonly params: Readonly<Record<string, string>> }>;
    interactionFinished(req: IncomingMessage, res: ServerResponse, result: object): Promise<void>;
  }

  export default Provider;
}

declare module 'oidc-provider/lib/adapters/memory_adapter.js' {
  /** Makes a store that is its server's own. */
  export function createMemoryAdapter(): (model: string) => object;
}
