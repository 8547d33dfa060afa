import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { CHART, refusalOf } from '../support/helm.js';

/** Values that are wrong, and what is said against them; each is told beside those that are required, unless it takes one away. */
const REFUSED: readonly [what: string, changes: readonly string[], message: string][] = [
  [
    'a public address in the open',
    ['public.url=http://broker.example'],
    "at '/public/url': 'http://broker.example' does not match pattern '^https://",
  ],
  [
    'a public address with a path',
    ['public.url=https://broker.example/tb'],
    "at '/public/url': 'https://broker.example/tb' does not match",
  ],
  ['no TLS', ['internal.tls.mode=none'], "at '/internal/tls/mode': value must be one of 'cert', 'mesh'"],
  [
    'a secret among the settings',
    ['settings.ADMIN_KEY=0123456789abcdef0123456789abcdef'],
    "at '/settings': additional properties 'ADMIN_KEY' not allowed",
  ],
  [
    'a secret among the variables',
    ['env.ENCRYPTION_KEYS=k1:AAAA'],
    'env.ENCRYPTION_KEYS: a secret is named under secrets.settings, and never written among the values',
  ],
  [
    'a secret’s text where its place is named',
    ['secrets.settings.ADMIN_KEY=0123456789abcdef'],
    "at '/secrets/settings/ADMIN_KEY': got string, want object",
  ],
  [
    'an unknown setting',
    ['settings.LOGLEVEL=debug'],
    "at '/settings': additional properties 'LOGLEVEL' not allowed",
  ],
  [
    'a listener among the settings',
    ['settings.PORT=8080'],
    "at '/settings': additional properties 'PORT' not allowed",
  ],
  [
    'a listener among the variables',
    ['env.OPS_PORT=off'],
    'env.OPS_PORT: the chart sets this itself, from a value of its own',
  ],
  [
    'a setting in two places',
    ['settings.FYND_API_KEY=abc', 'secrets.settings.FYND_API_KEY.key=fynd'],
    'FYND_API_KEY stands in settings and in secrets.settings: keep one',
  ],
  [
    'an unknown level',
    ['settings.LOG_LEVEL=loud'],
    "at '/settings/LOG_LEVEL': value must be one of 'debug', 'info', 'warn', 'error'",
  ],
  ['a pool too small', ['settings.DATABASE_POOL=1'], "at '/settings/DATABASE_POOL': minimum: got 1, want 2"],
  [
    'a number in words',
    ['settings.CACHED_TOKENS=many'],
    "at '/settings/CACHED_TOKENS': got string, want integer",
  ],
  ['an unknown value', ['replica=3'], "at '': additional properties 'replica' not allowed"],
  ['no replica', ['replicas=0'], "at '/replicas': minimum: got 0, want 1"],
  [
    'too short a time to stop',
    ['preStopSeconds=30'],
    'terminationGracePeriodSeconds must be at least preStopSeconds + 40',
  ],
  [
    'a mesh with a certificate',
    ['internal.tls.mode=mesh', 'internal.tls.issuer.name=ca'],
    'internal.tls.issuer: its certificate is for mode cert',
  ],
  [
    'a file from two places',
    ['files.clients.content=a', 'files.clients.secret=b'],
    'files.clients: keep one of content, configMap and secret',
  ],
  [
    'a file from nowhere',
    ['files.webhooks.key=a'],
    'files.webhooks: name a content, a configMap or a secret',
  ],
  [
    'a store without a name',
    ['secrets.external.enabled=true'],
    "at '/secrets/external/store/name': minLength: got 0, want 1",
  ],
  [
    'a Job before its Secret',
    [
      'migration.job=true',
      'secrets.external.enabled=true',
      'secrets.external.store.name=vault',
      'secrets.external.key=a',
    ],
    'migration.job runs before the Secret of secrets.external is there',
  ],
  [
    'a Job before its authority',
    ['migration.job=true', 'files.databaseCa.content=a'],
    'migration.job runs before files.databaseCa.content is there',
  ],
  [
    'fewer replicas at most than at least',
    ['autoscaling.minReplicas=9'],
    'autoscaling.minReplicas must not be above autoscaling.maxReplicas',
  ],
  ['root', ['security.runAsUser=0'], "at '/security/runAsUser': minimum: got 0, want 1"],
  [
    'a folder of the node',
    ['extraVolumes[0].name=a', 'extraVolumes[0].hostPath.path=/etc'],
    "at '/extraVolumes/0': additional properties 'hostPath' not allowed",
  ],
  [
    'every namespace as a caller',
    ['networkPolicy.callers.label='],
    "at '/networkPolicy/callers/label': minLength: got 0, want 1",
  ],
  [
    'a digest that is none',
    ['image.digest=sha256:12'],
    "at '/image/digest': 'sha256:12' does not match pattern '^(sha256:[0-9a-f]{64})?$'",
  ],
];

describe('a value that is wrong', () => {
  it.each(REFUSED)('is refused, and named: %s', async (_, changes, message) => {
    expect(await refusalOf(changes)).toContain(message);
  });

  it('is told to be missing, where there is no default that would be right', async () => {
    const refusal = await refusalOf([], null);
    for (const message of [
      "at '/image': missing property 'repository'",
      "at '/public': missing property 'url'",
      "at '/internal/tls': missing property 'mode'",
      "at '/secrets': missing property 'name'",
    ])
      expect(refusal).toContain(message);
    expect(await refusalOf(['internal.tls.mode=cert'], null)).toContain(
      "at '/internal/tls': missing property 'secret'",
    );
    expect(await refusalOf(['internal.tls.mode=mesh'], null)).not.toContain('/internal');
    expect(await refusalOf(['secrets.settings.DATABASE_URL=null'])).toContain(
      "at '/secrets/settings': missing property 'DATABASE_URL'",
    );
  });

  it('is refused for each mistake at once', async () => {
    const refusal = await refusalOf(['image.repository=Not A Name', 'replicas=0', 'settings.LOG_LEVEL=loud']);
    expect(refusal?.match(/- at '/g)?.length).toBeGreaterThanOrEqual(3);
  });
});

interface Shape {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Shape | boolean>>;
  readonly additionalProperties?: Shape | boolean;
}

describe('the schema of the values', () => {
  const schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8')) as Shape & {
    readonly $schema: string;
  };

  it('is of draft 7, and knows every name that it is given', () => {
    expect(schema.$schema).toBe('http://json-schema.org/draft-07/schema#');
    const open: string[] = [];
    const look = (shape: Shape | boolean, path: string): void => {
      if (typeof shape === 'boolean') return;
      if (shape.properties && shape.additionalProperties !== false) open.push(path);
      for (const [name, inside] of Object.entries(shape.properties ?? {})) look(inside, `${path}/${name}`);
    };
    look(schema, '');
    expect(open).toEqual([]);
  });
});
