import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { Authentication } from './clients/authentication.js';
import type { Settings } from './config/settings.js';
import { Readiness } from './health/readiness.js';
import { createAdapter } from './http/adapter.js';
import { guardDoors, Listeners, type Listener } from './http/listeners.js';
import { Clock } from './shared/clock.js';
import { RenewalSchedule } from './token/renewal-schedule.js';
import { BrokerLogger } from './telemetry/logger.js';

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
   * then the listeners close, then the database.
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
    const fastify = app.getHttpAdapter().getInstance();
    guardDoors(fastify);
    app.get(Authentication).guard(fastify);
    await app.init();
    await listeners.open(fastify, settings);
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
  await app.close();
}
