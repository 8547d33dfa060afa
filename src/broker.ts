import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { AuditFlush } from './audit/audit-flush.js';
import { RequestTrace } from './audit/request-trace.js';
import { Authentication } from './clients/authentication.js';
import { CallerLimits } from './clients/caller-limits.js';
import { ClientGuard } from './clients/client.guard.js';
import type { Settings } from './config/settings.js';
import { Readiness } from './health/readiness.js';
import { createAdapter } from './http/adapter.js';
import { guardDoors, Listeners, type Listener } from './http/listeners.js';
import { guardPublicDoor } from './http/public-door.js';
import { followRequests } from './http/request-context.js';
import { countRequests } from './http/request-count.js';
import { ProviderRegistry } from './provider/provider-registry.js';
import { Clock } from './shared/clock.js';
import { DirectReads } from './token/direct-reads.js';
import { RenewalSchedule } from './token/renewal-schedule.js';
import { BrokerLogger } from './telemetry/logger.js';
import { Metrics } from './telemetry/metrics.js';
import { RequestMetrics } from './telemetry/request-metrics.js';

/** The longest that an orderly stop takes, in milliseconds, but for the last connections. */
const STOP_MS = 30_000;
/** Connections that are still open this long after the drain are cut, in milliseconds. */
const CLOSE_MS = 5_000;

/** A broker that serves. */
export interface Broker {
  readonly app: NestFastifyApplication;
  /** The port that a listener really has; undefined where it is off. */
  portOf(listener: Listener): number | undefined;
  /**
   * The orderly stop: readiness falls, renewals that are running end and are kept while requests are still served,
   * then the listeners close, what is left of the audit trail is written, then the database.
   */
  stop(): Promise<void>;
}

/** Starts a broker. Throws ConfigurationError or ListenError for what an operator has to mend. */
export async function startBroker(settings: Settings, clock = new Clock()): Promise<Broker> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(settings, clock),
    createAdapter(settings.trustedProxies),
    {
      bodyParser: false,
      logger: new BrokerLogger(settings.logLevel, settings.production),
      abortOnError: false,
    },
  );
  const listeners = new Listeners();
  try {
    guardRequests(app);
    await app.init();
    const reads = app.get(DirectReads);
    await listeners.open(app.getHttpAdapter().getInstance(), settings, (request, response, goTheLongWay) =>
      reads.serve(request, response, goTheLongWay),
    );
  } catch (error) {
    await app.close().catch(() => undefined);
    throw error;
  }
  let stopped: Promise<void> | undefined;
  return {
    app,
    portOf: (listener) => listeners.portOf(listener),
    stop: () => (stopped ??= stop(app, listeners)),
  };
}

/** What every request passes before its route, in this order; to be called before the routes are made. */
export function guardRequests(app: NestFastifyApplication): void {
  const fastify = app.getHttpAdapter().getInstance();
  followRequests(fastify);
  guardDoors(fastify);
  app.get(Authentication).guard(fastify);
  app.get(RequestTrace).watch(fastify);
  countRequests(
    fastify,
    app.get(RequestMetrics),
    (name) => app.get(ProviderRegistry).find(name) !== undefined,
  );
  app.get(CallerLimits).guard(fastify);
  app.get(ClientGuard).guard(fastify);
  guardPublicDoor(fastify, () => app.get(Metrics).requestLimited('public'));
}

async function stop(app: NestFastifyApplication, listeners: Listeners): Promise<void> {
  const until = app.get(Clock).monotonic() + STOP_MS;
  app.get(Readiness).beginToStop();
  listeners.leave();
  await app.get(RenewalSchedule).stop(until - CLOSE_MS);
  const cut = setTimeout(() => listeners.cut(), CLOSE_MS);
  await listeners.close();
  clearTimeout(cut);
  // A last request may have begun a last renewal.
  await app.get(RenewalSchedule).stop(until);
  await app.get(AuditFlush).stop(until);
  await app.close();
}
