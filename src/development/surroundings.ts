import { connectDemoCompany } from './demo-company.js';
import { type EmbeddedPostgres, startPostgres } from './embedded-postgres.js';
import { generateKeys } from './generated-keys.js';
import { given } from './given.js';
import { stopWithNpm } from './npm-watch.js';
import { type Simulator, startSimulator } from './simulator-child.js';
import { messageOf } from './surroundings-error.js';
import { welcomeText } from './welcome-text.js';

export { SurroundingsError } from './surroundings-error.js';

/** What the service needs around it on a machine that has nothing but npm. For development only. */
export interface Surroundings {
  /** The environment, completed with what was not given. */
  readonly environment: NodeJS.ProcessEnv;
  /** Called once the service listens: connects the demo company and prints what to do next. Never throws. */
  welcome(urls: { internal: string; public: string }): Promise<void>;
  /** Stops the simulator, then PostgreSQL. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Makes keys, starts PostgreSQL and the simulator: each only where the environment does not name one.
 * @throws SurroundingsError with one line that says what to do
 */
export async function startSurroundings(env: NodeJS.ProcessEnv): Promise<Surroundings> {
  const dataDir = env.DATA_DIR || '.data';
  stopWithNpm(env);
  let postgres: EmbeddedPostgres | undefined;
  let simulator: Simulator | undefined;
  const stop = async (): Promise<void> => {
    await simulator?.stop();
    await postgres?.stop();
  };
  try {
    const keys = generateKeys(env, dataDir);
    const missing = missingProviders(env);
    if (missing.fynd || missing.konnect || missing.connect) simulator = await startSimulator(env);
    if (!given(env, 'DATABASE_URL')) postgres = await startPostgres({ dataDir });
    const environment: NodeJS.ProcessEnv = {
      ...env,
      ...keys,
      ...(postgres ? { DATABASE_URL: postgres.url } : {}),
      ...(simulator ? simulatedProviders(env, missing, simulator.url) : {}),
    };
    const simulated = simulator && { ...missing, url: simulator.url };
    return { environment, stop, welcome: (urls) => welcome(urls, environment, simulated) };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Missing {
  readonly fynd: boolean;
  readonly konnect: boolean;
  readonly connect: boolean;
}

const CONNECT_VARIABLES = [
  'CONNECT_AUTHORIZE_URL',
  'CONNECT_TOKEN_URL',
  'CONNECT_CLIENT_ID',
  'CONNECT_CLIENT_SECRET',
];

/** A client key of Fynd without an address means Fynd itself: it is not for the simulator. */
function missingProviders(env: NodeJS.ProcessEnv): Missing {
  return {
    fynd: !['FYND_BASE_URL', 'FYND_API_KEY', 'FYND_API_SECRET'].some((name) => given(env, name)),
    konnect: !given(env, 'KONNECT_BASE_URL'),
    connect: !CONNECT_VARIABLES.some((name) => given(env, name)),
  };
}

function simulatedProviders(env: NodeJS.ProcessEnv, missing: Missing, url: string): NodeJS.ProcessEnv {
  const fynd = {
    FYND_BASE_URL: url,
    FYND_API_KEY: env.SIMULATOR_API_KEY || 'demo-key',
    FYND_API_SECRET: env.SIMULATOR_API_SECRET || 'demo-secret',
    FYND_SCOPES: env.FYND_SCOPES || 'company/products,company/orders',
  };
  const konnect = {
    KONNECT_BASE_URL: url,
    // Konnect tells no lifetime: the broker has to be told what the simulator gives.
    KONNECT_TOKEN_TTL: env.KONNECT_TOKEN_TTL || env.SIMULATOR_TOKEN_TTL || '3600',
  };
  const connect = {
    CONNECT_AUTHORIZE_URL: `${url}/connect/oAuth/authorize`,
    CONNECT_TOKEN_URL: `${url}/connect/v1/oauth2/token`,
    CONNECT_CLIENT_ID: fynd.FYND_API_KEY,
    CONNECT_CLIENT_SECRET: fynd.FYND_API_SECRET,
  };
  return {
    ...(missing.fynd ? fynd : {}),
    ...(missing.konnect ? konnect : {}),
    ...(missing.connect ? connect : {}),
  };
}

async function welcome(
  urls: { internal: string; public: string },
  environment: NodeJS.ProcessEnv,
  simulator: (Missing & { readonly url: string }) | undefined,
): Promise<void> {
  let demoConnected = false;
  if (simulator?.konnect && urls.internal) {
    try {
      await connectDemoCompany(urls.internal, environment);
      demoConnected = true;
    } catch (error) {
      // fetch tells the reason in its cause
      const told = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      process.stderr.write(
        `The demo company is not connected (${messageOf(told)}). The service goes on without it.\n`,
      );
    }
  }
  process.stdout.write(welcomeText({ ...urls, environment, simulator, demoConnected }));
}
