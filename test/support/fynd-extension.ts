import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { ExtensionStorage } from '../../client/src/index.js';
import type { FdkClient } from './fdk-client.js';
import type { Json } from './http.js';

const require = createRequire(import.meta.url);

/** As much of Fynd's extension library, and of the express that it runs on, as an extension uses. */
interface Library {
  readonly setupFdk: (settings: Json, isAwaited: true) => Promise<Fdk>;
}

interface Fdk {
  readonly fdkHandler: unknown;
  getPlatformClient(companyId: string): Promise<FdkClient>;
}

type App = Parameters<typeof createServer>[1] & { use(handler: unknown): void };

const { setupFdk } = require('@gofynd/fdk-extension-javascript/express') as Library;
const { MemoryStorage } = require('@gofynd/fdk-extension-javascript/express/storage') as {
  MemoryStorage: new (prefix: string) => ExtensionStorage;
};
const log = require('@gofynd/fdk-extension-javascript/express/logger') as {
  transports: { silent: boolean }[];
};
const express = require('express') as { (): App; json(): unknown };
const cookies = require('cookie-parser') as (secret: string) => unknown;

// It tells each error that it answers, too.
for (const transport of log.transports) transport.silent = true;

export { MemoryStorage };

/** A real extension, as its authors write it: the library's routes on express, and a storage. */
export class FyndExtension {
  private constructor(
    private readonly server: Server,
    private readonly fdk: Fdk,
    readonly url: string,
  ) {}

  static async start(options: {
    readonly port: number;
    readonly cluster: string;
    readonly key: readonly [string, string];
    readonly storage: ExtensionStorage;
  }): Promise<FyndExtension> {
    const { port, cluster, storage } = options;
    const [api_key, api_secret] = options.key;
    const url = `http://127.0.0.1:${port}`;
    const landed = (): Promise<string> => Promise.resolve(`${url}/welcome`);
    const fdk = await setupFdk(
      {
        api_key,
        api_secret,
        base_url: url,
        cluster,
        storage,
        callbacks: { auth: landed, uninstall: landed },
      },
      true,
    );
    const app = express();
    app.use(express.json());
    app.use(cookies('test'));
    app.use(fdk.fdkHandler);
    const server = createServer(app);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return new FyndExtension(server, fdk, url);
  }

  /** Fynd's API, as the extension asks it in the name of a company. */
  api(companyId: string): Promise<FdkClient> {
    return this.fdk.getPlatformClient(companyId);
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}
