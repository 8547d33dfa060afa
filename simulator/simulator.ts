import type { AddressInfo } from 'node:net';
import { SimulatorClock } from './clock.js';
import { addControlRoutes } from './control.js';
import { DEFAULT_SETTINGS, type SimulatorSettings } from './environment.js';
import { FaultScript } from './faults.js';
import { FyndPlatform } from './fynd-platform/fynd-platform.js';
import { HeldCalls } from './held-calls.js';
import { Konnect } from './konnect/konnect.js';
import { Ledger } from './ledger.js';
import { CONNECT, STANDARD } from './oauth/dialect.js';
import { OAuthProvider } from './oauth/oauth-provider.js';
import { Portal } from './portal/portal.js';
import type { SimulatedProvider } from './provider.js';
import { createServer, LISTEN_BACKLOG } from './wire.js';

/** A simulator that is up. */
export interface RunningSimulator {
  /** Origin, without a closing slash. */
  readonly url: string;
  readonly port: number;
  /** Closes the listener and every open connection, held calls included. */
  close(): Promise<void>;
}

/**
 * Starts the stand-in for the providers in this process; what `settings` leaves out takes its default.
 * @throws the error of `listen` (`EADDRINUSE` and the like) when the address cannot be had
 */
export async function startSimulator(settings: Partial<SimulatorSettings> = {}): Promise<RunningSimulator> {
  const { host, port, apiKey, apiSecret, tokenTtl } = { ...DEFAULT_SETTINGS, ...settings };
  const stage = {
    script: new FaultScript(),
    held: new HeldCalls(),
    ledger: new Ledger(),
    clock: new SimulatorClock(),
  };
  const client = { apiKey, apiSecret };
  const providers: readonly SimulatedProvider[] = [
    new FyndPlatform(client, tokenTtl, stage),
    new Konnect(tokenTtl, stage),
    new OAuthProvider(CONNECT, client, tokenTtl, stage),
    new OAuthProvider(STANDARD, client, tokenTtl, stage),
    new Portal(stage),
  ];

  const app = createServer();
  for (const provider of providers) provider.addRoutes(app);
  addControlRoutes(app, stage, providers);
  app.addHook('preClose', () => void stage.held.abandon());
  await app.listen({ host, port, backlog: LISTEN_BACKLOG });

  const taken = (app.server.address() as AddressInfo).port;
  const name = host.includes(':') ? `[${host}]` : host;
  return { url: `http://${name}:${taken}`, port: taken, close: () => app.close() };
}
