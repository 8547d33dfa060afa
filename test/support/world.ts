import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { SchedulerRegistry } from '@nestjs/schedule';
import { Client, type QueryResultRow } from 'pg';
import { type RunningSimulator, startSimulator } from '../../simulator/simulator.js';
import { AuditFlush } from '../../src/audit/audit-flush.js';
import { type Broker, startBroker } from '../../src/broker.js';
import { Environment } from '../../src/config/environment.js';
import { readSettings } from '../../src/config/settings.js';
import { Notifications } from '../../src/database/notifications.js';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { ObservationKeeper } from '../../src/token/observation-keeper.js';
import { PaceStore } from '../../src/token/pace.store.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { TokenRenewer } from '../../src/token/token-renewer.js';
import { Browser } from './browser.js';
import { type Answer, ask, eventually, freePort } from './http.js';
import { findLeaks } from './leaks.js';
import { createTestDatabase, dumpAsText, type TestDatabase } from './postgres.js';
import { Replica } from './replica.js';
import { SimulatorCaller } from './simulator-caller.js';
import { TestClock } from './test-clock.js';

export const ADMIN_KEY = `test-secret-admin-${randomBytes(24).toString('hex')}`;
export const API_KEY = 'extension-1';
export const API_SECRET = 'test-secret-api-secret';
export const UI_URL = 'https://extension.example/app';

const CHANGES_CONNECTIONS = /^\s*(update|delete|truncate|insert)\b[^;]*\bconnections\b/i;

/** A broker in this process, with the world's clock. */
export interface LocalBroker {
  readonly broker: Broker;
  readonly api: string;
  readonly public: string;
}

/** What a test file has to itself: a database, a simulator, a clock, and as many brokers as it starts. */
export class World {
  readonly clock = new TestClock();
  readonly simulator = new SimulatorCaller(() => this.#simulator.url);
  readonly logs: string[] = [];
  #simulator!: RunningSimulator;
  #database!: TestDatabase;
  #client: Client | undefined;
  readonly #environments: Environment[] = [];
  readonly #locals: LocalBroker[] = [];
  readonly #replicas: Replica[] = [];
  #aheadS = 0;
  #isInTransaction = false;

  /** @param makeDatabase where not in the PostgreSQL that all test files share */
  async open(makeDatabase = createTestDatabase): Promise<void> {
    this.#simulator = await startSimulator({ port: 0, apiKey: API_KEY, apiSecret: API_SECRET });
    this.#database = await makeDatabase();
    await this.#connect();
  }

  /** Stops everything, then searches every row of every table and everything that was logged for a secret. */
  async close(): Promise<void> {
    try {
      const brokers = [...this.#locals.map(({ broker }) => broker), ...this.#replicas];
      await Promise.all(brokers.map((broker) => broker.stop()));
      for (const environment of this.#environments) environment.close();
      this.logs.push(...this.#replicas.flatMap((replica) => replica.output.split('\n')));
      const leaks = findLeaks([...(await dumpAsText(this.#database.url)), ...this.logs]);
      if (leaks.length > 0) throw new Error(`secrets in the database or the log:\n${leaks.join('\n')}`);
    } finally {
      await this.#client?.end();
      await this.#database?.drop();
      await this.#simulator?.close();
    }
  }

  get databaseUrl(): string {
    return this.#database.url;
  }

  /** The variables of a broker that works with this world; `changes` come on top, undefined takes one away. */
  environment(changes: Record<string, string | undefined> = {}): Record<string, string> {
    const all: Record<string, string | undefined> = {
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: '0',
      PUBLIC_PORT: '0',
      DATABASE_URL: this.databaseUrl,
      ENCRYPTION_KEYS: KEYS,
      ADMIN_KEY,
      LOG_LEVEL: 'debug',
      FYND_BASE_URL: this.simulator.url,
      FYND_API_KEY: API_KEY,
      FYND_API_SECRET: API_SECRET,
      FYND_SCOPES: 'company/products,company/orders',
      FYND_UI_URL: UI_URL,
      KONNECT_BASE_URL: this.simulator.url,
      CONNECT_AUTHORIZE_URL: `${this.simulator.url}/connect/oAuth/authorize`,
      CONNECT_TOKEN_URL: `${this.simulator.url}/connect/v1/oauth2/token`,
      CONNECT_CLIENT_ID: API_KEY,
      CONNECT_CLIENT_SECRET: API_SECRET,
      ...changes,
    };
    return Object.fromEntries(
      Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
  }

  /** Resolves when the broker has heard of all that has changed until now: on a busy machine it hears late. */
  async heard({ broker }: LocalBroker): Promise<void> {
    const mark = randomUUID();
    const heard = new Promise<void>((resolve) =>
      broker.app.get(Notifications).onChange('connections', (id) => id === mark && resolve()),
    );
    await this.sql(`select pg_notify('connections', $1)`, [mark]);
    await heard;
  }

  /** A broker in this process: fast to start, and on the world's clock. */
  async local(changes: Record<string, string | undefined> = {}): Promise<LocalBroker> {
    const port = await freePort();
    const environment = new Environment(
      this.environment({ PUBLIC_PORT: String(port), PUBLIC_URL: `http://127.0.0.1:${port}`, ...changes }),
    );
    this.#environments.push(environment);
    const broker = await startBroker(readSettings(environment), this.clock);
    const url = (listener: 'internal' | 'public'): string => `http://127.0.0.1:${broker.portOf(listener)}`;
    const local = { broker, api: url('internal'), public: url('public') };
    this.#locals.push(local);
    return local;
  }

  /** A broker as a process of its own, of this release unless `program` is another's. */
  async replica(changes: Record<string, string | undefined> = {}, program?: string): Promise<Replica> {
    const replica = await Replica.start(this.environment(changes), program);
    this.#replicas.push(replica);
    return replica;
  }

  /** Every row of every table as text, once all that the brokers here have seen is written down. */
  async dump(): Promise<string[]> {
    for (const { broker } of this.#locals) {
      const { app } = broker;
      const told = app
        .get(ProviderRegistry)
        .all()
        .map(({ name }) => app.get(PaceStore).tellEnded(name));
      await Promise.allSettled([app.get(ObservationKeeper).write(), app.get(AuditFlush).flush(), ...told]);
    }
    return dumpAsText(this.databaseUrl);
  }

  /** A statement of whoever has the database. Replicas are told of connections that it changes, as nobody else would. */
  async sql<Row extends QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = this.#client ?? (await this.#connect());
    if (/^\s*(begin|commit|rollback)\b/i.test(text)) this.#isInTransaction = /^\s*begin/i.test(text);
    if (!CHANGES_CONNECTIONS.test(text)) return (await client.query<Row>(text, values)).rows;
    const { rows: before } = await client.query<{ id: string }>('select id from connections limit 1000');
    const { rows } = await client.query<Row>(text, values);
    await this.#tell(
      client,
      before.map(({ id }) => id),
    );
    return rows;
  }

  /** Resolves when the brokers of this process have heard it, where they hear anything. */
  async #tell(client: Client, ids: readonly string[]): Promise<void> {
    const last = randomUUID();
    const heard = this.#locals
      .map(({ broker }) => broker.app.get(Notifications))
      .filter((notifications) => notifications.isLive())
      .map(
        (notifications) =>
          new Promise<void>((resolve) => {
            notifications.onChange('connections', (id) => id === last && resolve());
            notifications.onLost(resolve);
          }),
      );
    await client.query(`select pg_notify('connections', id) from unnest($1::text[]) id`, [[...ids, last]]);
    // Within a transaction nobody hears anything before its end.
    if (!this.#isInTransaction) await Promise.all(heard);
  }

  /** A database that was stopped is connected to again by whoever next asks it something. */
  async #connect(): Promise<Client> {
    const client = new Client({ connectionString: this.#database.url });
    client.on('error', () => (this.#client = undefined));
    await client.connect();
    return (this.#client = client);
  }

  /** Moves the time of the database, and of the brokers in this process and the simulator with it. */
  async advance(seconds: number): Promise<void> {
    this.#aheadS += seconds;
    this.clock.advance(seconds);
    await this.simulator.control('POST', 'clock', { advance_s: seconds });
    await this.sql(
      `create or replace function broker_now() returns timestamptz language sql stable parallel safe
       as $$ select statement_timestamp() + interval '${this.#aheadS} seconds' $$`,
    );
    // What a process has read before goes by its own clock, which goes on at its usual pace there.
    if (this.#replicas.length > 0)
      await this.sql('update connections set updated_at = updated_at where false');
  }

  /**
   * From now on the schedule looks only where a test lets it: of a look that is under way when the time leaps, the lease
   * runs out before anything is sent, and a probe that is spent so is missed.
   */
  stopTicking({ broker }: LocalBroker): void {
    const intervals = broker.app.get(SchedulerRegistry);
    for (const name of intervals.getIntervals()) intervals.deleteInterval(name);
  }

  /** Lets the schedule look, and all that it begins end. */
  async settle({ broker }: LocalBroker): Promise<void> {
    const { app } = broker;
    const ticks = app.get(SchedulerRegistry).getIntervals().length > 0;
    await app.get(RenewalSchedule).tick();
    // A look that was under way already goes on for a moment, and then looks once more.
    if (ticks) await new Promise((resolve) => setTimeout(resolve, 20));
    else await eventually(() => app.get(TokenRenewer).countRunning() === 0);
    await app.get(RenewalSchedule).tick();
    await eventually(() => app.get(TokenRenewer).countRunning() === 0);
  }

  /** A call of the internal API, with the admin key unless another is given. */
  async api(
    broker: { api: string },
    method: string,
    path: string,
    body?: unknown,
    key = ADMIN_KEY,
  ): Promise<Answer> {
    return ask(method, `${broker.api}${path}`, { authorization: `Bearer ${key}` }, body);
  }

  /** Makes a client who may do these, each `action resource`; its answer holds the key. */
  async client(broker: { api: string }, ...permissions: string[]): Promise<{ id: string; key: string }> {
    const { body } = await this.api(broker, 'POST', '/v1/clients', {
      name: permissions[0] ?? 'nobody',
      permissions: permissions.map((it) => ({ action: it.split(' ')[0], resource: it.split(' ')[1] })),
    });
    return body as { id: string; key: string };
  }

  /** A seller installs the extension, through the simulator's consent; where the browser ended up. */
  async install(broker: { public: string }, companyId: string, browser = new Browser()): Promise<Answer> {
    const url = `${broker.public}/fp/install?company_id=${companyId}&client_id=${API_KEY}`;
    return browser.follow(url, [new URL(broker.public).host, new URL(this.simulator.url).host]);
  }

  /** An operator keeps a Konnect credential whose password is a marked secret. */
  async keepKonnect(
    broker: { api: string },
    path: string,
    name = path.replaceAll('/', '-'),
  ): Promise<Answer> {
    return this.api(broker, 'PUT', `/v1/connections/konnect/companies/${path}`, {
      username: name,
      password: `test-secret-konnect-${name}`,
    });
  }

  /** Everything that this process prints, so that it can be searched; it is not shown. */
  captureOutput(): () => void {
    const streams = [process.stdout, process.stderr];
    const originals = streams.map((stream) => stream.write.bind(stream));
    for (const stream of streams) {
      stream.write = (chunk: unknown) => {
        this.logs.push(String(chunk));
        return true;
      };
    }
    return () => streams.forEach((stream, index) => (stream.write = originals[index] as typeof stream.write));
  }
}

/** Random, and the same for every broker of this test file. */
const KEYS = `test:${randomBytes(32).toString('base64')}`;

/** Gives the suite that calls this a world of its own; the simulator is set back before each test. */
export function useWorld(): World {
  const world = new World();
  let release: (() => void) | undefined;
  beforeAll(async () => {
    release = world.captureOutput();
    await world.open();
  });
  beforeEach(async () => {
    await world.simulator.control('POST', 'reset');
  });
  afterAll(async () => {
    await world.close().finally(() => release?.());
  });
  return world;
}
