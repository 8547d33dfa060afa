import { setTimeout as sleep } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { AuditFlush } from './audit/audit-flush.js';
import { RequestTrace } from './audit/request-trace.js';
import { Authentication } from './clients/authentication.js';
import { CallerLimits } from './clients/caller-limits.js';
import { ClientGuard } from './clients/client.guard.js';
import { SessionAuthentication } from './clients/session-authentication.js';
import type { Settings } from './config/settings.js';
import { Readiness } from './health/readiness.js';
import { createAdapter } from './http/adapter.js';
import { endEmptyBodies, guardDoors, Listeners, type Listener, type ShortWay } from './http/listeners.js';
import { guardPublicDoor } from './http/public-door.js';
import { followRequests } from './http/request-context.js';
import { countRequests } from './http/request-count.js';
import { traceRequests, traceShortWay } from './http/request-traces.js';
import { WaitingRoom } from './http/waiting-room.js';
import { ProviderRegistry } from './provider/provider-registry.js';
import { Clock } from './shared/clock.js';
import { giveBackMemory } from './shared/memory.js';
import { Problem } from './shared/problem.js';
import { StartWatch } from './shared/start-watch.js';
import { DirectReads, routeOfRead } from './token/direct-reads.js';
import { RecentWrites } from './token/recent-writes.js';
import { RenewalSchedule } from './token/renewal-schedule.js';
import { BrokerLogger } from './telemetry/logger.js';
import { Metrics } from './telemetry/metrics.js';
import { RequestMetrics } from './telemetry/request-metrics.js';
import { Tracing } from './telemetry/tracing.js';

/** The longest that an orderly stop takes, in milliseconds, once it does not wait for its callers to leave any more. */
const STOP_MS = 30_000;
/** Connections that are still open this long after the drain are cut, in milliseconds. */
const CLOSE_MS = 5_000;

const BEGIN_ANEW_MS = 1_000;

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

/**
 * Starts a broker; while its database is not there, the listeners say so. Throws ConfigurationError or ListenError for
 * what an operator has to mend.
 */
export async function startBroker(settings: Settings, clock = new Clock()): Promise<Broker> {
  const listeners = new Listeners();
  const room = new WaitingRoom();
  const watch = new StartWatch(async (why) => {
    room.waitFor(why);
    await listeners.openEarly(settings, room.answer);
  });
  let app: NestFastifyApplication | undefined;
  try {
    const started = (app = await assemble(settings, clock, watch));
    if (watch.hasWaited) started.get(RecentWrites).wasAway();
    const reads = started.get(DirectReads);
    const tracing = started.get(Tracing);
    giveBackMemory();
    const short: ShortWay = (request, response, goTheLongWay) => reads.serve(request, response, goTheLongWay);
    await listeners.open(
      started.getHttpAdapter().getInstance(),
      settings,
      tracing.isOn ? traceShortWay(short, routeOfRead, tracing) : short,
    );
    let stopped: Promise<void> | undefined;
    return {
      app: started,
      portOf: (listener) => listeners.portOf(listener),
      stop: () => (stopped ??= stop(started, settings, listeners)),
    };
  } catch (error) {
    listeners.cut();
    await listeners.close();
    await app?.close().catch(() => undefined);
    throw error;
  }
}

/** All parts, each with what it has to know before the first request. Begins anew where the database went away meanwhile. */
async function assemble(
  settings: Settings,
  clock: Clock,
  watch: StartWatch,
): Promise<NestFastifyApplication> {
  for (;;) {
    const app = await NestFactory.create<NestFastifyApplication>(
      AppModule.with(settings, clock, watch),
      createAdapter(settings.trustedProxies),
      {
        bodyParser: false,
        logger: new BrokerLogger(settings.logLevel, settings.production),
        abortOnError: false,
      },
    );
    try {
      if (settings.tracing) await app.get(Tracing).start(settings.tracing);
      guardRequests(app);
      return await app.init();
    } catch (error) {
      await app.close().catch(() => undefined);
      if (!(error instanceof Problem) || error.code !== 'store_unavailable') throw error;
      await watch.waitsFor('it was lost again, or does not do what the start asks of it');
      await sleep(BEGIN_ANEW_MS);
    }
  }
}

/** What every request passes before its route, in this order; to be called before the routes are made. */
export function guardRequests(app: NestFastifyApplication): void {
  const fastify = app.getHttpAdapter().getInstance();
  if (app.get(Tracing).isOn) traceRequests(fastify, app.get(Tracing));
  followRequests(fastify);
  guardDoors(fastify);
  endEmptyBodies(fastify);
  app.get(SessionAuthentication).guard(fastify);
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

async function stop(
  app: NestFastifyApplication,
  { serveWhileStoppingS }: Settings,
  listeners: Listeners,
): Promise<void> {
  app.get(Readiness).beginToStop();
  listeners.leave();
  // A proxy goes on sending requests until it has seen that this one is not ready any more.
  await sleep(serveWhileStoppingS * 1_000);
  const until = app.get(Clock).monotonic() + STOP_MS;
  await app.get(RenewalSchedule).stop(until - CLOSE_MS);
  const cut = setTimeout(() => listeners.cut(), CLOSE_MS);
  await listeners.close();
  clearTimeout(cut);
  // A last request may have begun a last renewal.
  await app.get(RenewalSchedule).stop(until);
  await app.get(AuditFlush).stop(until);
  await app.close();
}
