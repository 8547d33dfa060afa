import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import ts from 'typescript';
import { parse, parseAllDocuments } from 'yaml';
import { readClientsFile } from '../../src/config/clients-file.js';
import { Environment } from '../../src/config/environment.js';
import { readWebhooks } from '../../src/config/webhooks-file.js';
import { readWorkloadIssuers } from '../../src/config/workload-issuers.js';
import { EVENT_TYPES } from '../../src/shared/event-types.js';
import { FreshClone } from '../support/fresh-clone.js';
import { render } from '../support/helm.js';
import { ask, type Json } from '../support/http.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { useProvidersReader } from '../support/providers-reader.js';
import { DOCUMENTS, snippetsOf, type Snippet } from '../support/snippets.js';

/** What no test can run, by how it begins, and why. Everything else is run, or the test fails. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'docker build': 'needs a container engine',
  'kubectl create namespace': 'needs a cluster',
  'kubectl get --raw': 'needs a cluster',
  'kubectl exec': 'needs a cluster',
  'kubectl scale': 'needs a cluster',
  'helm install': 'needs a cluster; its values are rendered',
  'curl -H "Authorization: Bearer $(cat /var/run/token-broker/token)"': 'needs the token of a pod',
  'Authorization: Bearer eyJ': 'is a header, and no command',
  'RateLimit-Policy': 'is a header, and no command',
  'systemctl enable': 'needs systemd',
  '[Service]': 'needs systemd',
  'redis-cli': 'needs a Redis',
  mongoexport: 'needs a MongoDB',
  'vault secrets enable': 'needs a Vault',
  pg_dump: 'has to be as new as the server; npm run test:long runs it',
  'npm run bench': 'takes minutes',
  'npm run simulator': 'npm start runs the same program',
};

/** TypeScript that runs as it stands; the rest is checked by its types, since it names files and services of its reader's. */
const RUNS_AS_IT_STANDS = ['README.md', 'docs/quick-start.md'];

/** What a snippet takes for granted. */
const GRANTED = `import { TokenBroker as Broker, type ExtensionStorage } from 'token-broker-client';
declare global {
  const redis: object;
  class RedisStorage implements ExtensionStorage {
    constructor(client: object);
    get(key: string): Promise<unknown>;
    set(key: string, value: object): Promise<unknown>;
    setex(key: string, value: object, ttl: number): Promise<unknown>;
    del(key: string): Promise<unknown>;
  }
  const express: { raw(options: object): unknown };
  interface Received {
    readonly body: Buffer;
    readonly headers: Record<string, string>;
  }
  const app: {
    post(path: string, reads: unknown, answer: (request: Received, response: { sendStatus(code: number): void }) => void): void;
  };
  const seenBefore: (id: string | undefined) => boolean;
  const keepForLater: (event: unknown) => void;
}
export declare const broker: Broker;
`;

const all = DOCUMENTS.flatMap(snippetsOf);
const isElsewhere = ({ text }: Snippet): boolean =>
  Object.keys(ELSEWHERE).some((beginning) => text.startsWith(beginning));
const of = (language: string): Snippet[] => all.filter((it) => it.language === language && !isElsewhere(it));
const labelled = (snippets: readonly Snippet[]): [string, Snippet][] =>
  snippets.map((it) => [`${it.document}: ${it.text.split('\n')[0]}`, it]);

const clone = new FreshClone();
const providers = useProvidersReader();
let database: TestDatabase;
let prelude: string;

beforeAll(async () => {
  database = await createTestDatabase();
  await clone.prepare();
  const [first] = of('sh');
  await clone.start(clone.here(first?.text ?? ''), /Ctrl-C stops it[^]*Paste these/, {
    WEBHOOKS_FILE: keepReceiver(),
  });
  const adminKey = '$(cat .data/admin-key)';
  prelude = clone.here(`export ADMIN_KEY=${adminKey}
ID=$(curl -sS -X POST http://127.0.0.1:8080/v1/clients -H "Authorization: Bearer $ADMIN_KEY" \
  -H 'content-type: application/json' -d '{ "name": "orders", "permissions": [] }' |
  node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).id')
export BROKER_URL=http://127.0.0.1:8080 BROKER_KEY=${adminKey}
export BROKER=$BROKER_URL KEY=$BROKER_KEY
export KONNECT_BASE_URL=http://127.0.0.1:8090 ENCRYPTION_KEYS=k1:${randomBytes(32).toString('base64')}
export DATABASE_URL='${database.url}' NODE_ENV=production
`);
  keepSessions();
}, 120_000);
afterAll(async () => {
  await clone.stop();
  await database?.drop();
});

/** A store of an extension, for somebody who moves in. */
function keepSessions(): void {
  const store = new DatabaseSync(clone.path('sessions.sqlite'));
  const session = { company_id: 9, access_mode: 'offline', access_token: 'a', refresh_token: 'r' };
  store.exec('create table storage (key text primary key, value text, ttl integer)');
  store.prepare('insert into storage values (?, ?, null)').run('ext:9', JSON.stringify(session));
  store.close();
}

/** A receiver of events, whom nobody has to reach. */
function keepReceiver(): string {
  const receiver = { name: 'ops', url: 'http://127.0.0.1:9/', secret: webhookSecret() };
  writeFileSync(clone.path('webhooks.yaml'), JSON.stringify({ webhooks: [receiver] }));
  return clone.path('webhooks.yaml');
}

const webhookSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;

const done = new Set<string>();

/** One shell for a document, as somebody has one who reads it from top to bottom; the first that fails ends it. */
function scriptOf(document: string): string {
  const steps = all.filter((it) => it.document === document && !isElsewhere(it) && !done.has(it.text));
  const lines = steps.flatMap((step) => {
    done.add(step.text);
    if (step.language === 'csv') return [`cat > credentials.csv <<'CSV'\n${step.text}\nCSV`];
    if (step.language === 'ts' && RUNS_AS_IT_STANDS.includes(document))
      return [
        `cat > my-service/index.mts <<'TS'\n${step.text}\nTS\n(cd my-service && node --no-warnings index.mts)`,
      ];
    return step.language === 'sh' && !step.text.startsWith('npm ci && npm start') ? [inPlace(step.text)] : [];
  });
  return lines.map((line) => `cd '${clone.folder}'\n${clone.here(line)}\n[ $? -eq 0 ]\n`).join('');
}

/** What runs for good is waited for until it listens; a made-up database is one of ours. */
function inPlace(text: string): string {
  return (
    text
      .replace('postgres://user:password@host:5432/database', database.url)
      // What one document has sealed there, the doctor of another has to open.
      .replace('k1:$(openssl rand -base64 32)"   # keep', '$ENCRYPTION_KEYS"   # keep')
      .replace(
        /npm run start:prod$/m,
        `PORT=0 PUBLIC_PORT=0 npm run start:prod > started.log 2>&1 &\nfor _ in {1..600}; do grep -q listening started.log && break; sleep 0.1; done\ngrep listening started.log; kill %1`,
      )
  );
}

describe('what the documents have a reader type', () => {
  it.each(DOCUMENTS.filter((document) => snippetsOf(document).some(({ language }) => language === 'sh')))(
    '%s works, from top to bottom',
    async (document) => {
      await clone.run(`${prelude}${scriptOf(document)}`);
    },
    120_000,
  );

  it('is all that there is in fences: no block is of a kind that nobody looks at', () => {
    const known = ['sh', 'ts', 'json', 'yaml', 'csv', 'sql'];
    const others = all.filter((it) => !known.includes(it.language) && !isElsewhere(it));
    expect(others).toEqual([]);
    const unused = Object.keys(ELSEWHERE).filter((it) => !all.some(({ text }) => text.startsWith(it)));
    expect(unused).toEqual([]);
  });
});

describe('TypeScript in the documents', () => {
  it('is right by the types of the client as it is packed', () => {
    mkdirSync(clone.path('my-service', 'docs'), { recursive: true });
    const write = (name: string, text: string): string => {
      writeFileSync(clone.path('my-service', 'docs', name), text);
      return clone.path('my-service', 'docs', name);
    };
    const files = of('ts').map(({ text }, index) => {
      const needs = /\bbroker\b/.test(text) && !/const broker\b/.test(text);
      return write(`${index}.mts`, needs ? `import { broker } from './granted.mjs';\n${text}` : text);
    });
    const program = ts.createProgram([...files, write('granted.mts', GRANTED)], {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      types: ['node'],
      typeRoots: ['node_modules/@types'],
    });
    const wrong = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
      return `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
    expect([files.length > 4, wrong]).toEqual([true, []]);
  }, 120_000);
});

describe('JSON in the documents', () => {
  it.each(labelled(of('json')))('%s', async (_, { text }) => {
    const shown = JSON.parse(text) as Json;
    if ('type' in shown) {
      expect(EVENT_TYPES).toContain(shown['type']);
      return;
    }
    const key = (await clone.run('cat .data/admin-key')).trim();
    const path = 'access_token' in shown ? 'tokens/konnect/companies/1' : 'connections?limit=1';
    const { body } = await ask('GET', clone.here(`http://127.0.0.1:8080/v1/${path}`), {
      authorization: `Bearer ${key}`,
    });
    const real = 'items' in body ? (body['items'] as Json[])[0] : body;
    expect(Object.keys(real ?? {})).toEqual(expect.arrayContaining(Object.keys(shown)));
  });
});

describe('YAML in the documents', () => {
  it.each(labelled(of('yaml')))('%s', async (_, { text }) => {
    const written = parse(text) as Json;
    const file = clone.path('read.yaml');
    writeFileSync(file, 'permissions' in written ? JSON.stringify({ clients: [written] }) : text);
    const around = { production: true, allowInsecureHttp: false };
    if ('providers' in written) {
      const secrets = { CRM_CLIENT_ID: 'crm', CRM_CLIENT_SECRET: 'test-secret-crm' };
      expect(providers.readFile(text, secrets).providers.length).toBeGreaterThan(0);
    } else if ('clients' in written || 'permissions' in written) {
      expect(readClientsFile(new Environment({ CLIENTS_FILE: file }))?.length).toBeGreaterThan(0);
    } else if ('webhooks' in written) {
      const secrets = ['OPS_WEBHOOK_SECRET', 'AUDIT_SECRET_NEW', 'AUDIT_SECRET_OLD'];
      const variables = Object.fromEntries(secrets.map((name) => [name, webhookSecret()]));
      const environment = new Environment({ WEBHOOKS_FILE: file, ...variables });
      expect(readWebhooks(environment, around)?.current.length).toBeGreaterThan(0);
      environment.close();
    } else if ('issuers' in written) {
      // Its files are the reader's own.
      writeFileSync(file, text.replace(/^\s+(ca_file|token_file):.*$/gm, ''));
      const environment = new Environment({ WORKLOAD_ISSUERS_FILE: file });
      expect(readWorkloadIssuers(environment, around)).toHaveLength(1);
    } else if ('apiVersion' in written) {
      for (const document of parseAllDocuments(text)) expect(document.errors).toEqual([]);
      expect(written).toMatchObject({ kind: expect.any(String), metadata: { name: expect.any(String) } });
    } else if ('image' in written) {
      expect((await render(file)).length).toBeGreaterThan(5);
    } else {
      expect(written).toMatchObject({ services: expect.any(Object) });
    }
  });
});

describe('SQL in the documents', () => {
  it.each(labelled(of('sql')))('%s', async (_, { text }) => {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    try {
      await client.query('begin');
      if (text.includes('role token_broker')) await client.query('create role token_broker');
      await client.query(text);
    } finally {
      await client.query('rollback');
      await client.end();
    }
  });
});
