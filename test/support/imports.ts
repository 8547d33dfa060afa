import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { CommandLine } from './command-line.js';
import { providersOf } from './elsewhere.js';
import type { Json } from './http.js';
import type { Ended } from './replica.js';
import { ADMIN_KEY, type LocalBroker, type World } from './world.js';

/** A broker that knows nobody yet, and files to import into it. */
export class Imports {
  readonly folder = mkdtempSync(join(tmpdir(), 'token-broker-import-'));
  broker!: LocalBroker;
  #files = 0;

  constructor(private readonly world: World) {}

  get env(): NodeJS.ProcessEnv {
    return { BROKER_URL: this.broker.api, BROKER_KEY: ADMIN_KEY };
  }

  async start(): Promise<void> {
    const PROVIDERS_FILE = join(this.folder, 'providers.yaml');
    const konnect = `  konnect: { kind: konnect, base_url: '${this.world.simulator.url}' }`;
    writeFileSync(PROVIDERS_FILE, providersOf(this.world, konnect));
    this.broker = await this.world.local({ PROVIDERS_FILE });
    this.world.stopTicking(this.broker);
  }

  /** What the run printed is looked through for secrets at the end, like every log. */
  async bring(args: readonly string[], key = ADMIN_KEY): Promise<Ended> {
    const ended = await CommandLine.run(['import', ...args], { ...this.env, BROKER_KEY: key });
    this.world.logs.push(...ended.output.split('\n'));
    return ended;
  }

  file(ending: string, text: string): string {
    const path = join(this.folder, `${++this.#files}.${ending}`);
    writeFileSync(path, text);
    return path;
  }

  async connections(provider = 'fynd'): Promise<Json[]> {
    const { body } = await this.world.api(
      this.broker,
      'GET',
      `/v1/connections?provider=${provider}&limit=200`,
    );
    const items = body['items'] as Json[];
    return items.sort((one, other) => Number(one['company_id']) - Number(other['company_id']));
  }

  /** How often a connection was written so far. */
  async changes(): Promise<number> {
    const [row] = await this.world.sql<{ n: number }>(
      `select count(*)::int as n from audit_events where action = 'connection:write' and outcome = 'allowed'`,
    );
    return row?.n ?? 0;
  }
}

export function useImports(world: World): Imports {
  const imports = new Imports(world);
  beforeAll(() => imports.start());
  beforeEach(async () => {
    // For a minute the broker remembers what it wrote, and writes it again where it has lost sight of the database.
    await world.advance(61);
    await world.sql('truncate connections, provider_states, credential_proofs');
  });
  afterAll(() => rmSync(imports.folder, { recursive: true, force: true }));
  return imports;
}
