import { globSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { VARIABLE_NAMES } from '../../src/config/variables.js';
import { render, VALUE_SETS } from '../support/helm.js';
import { environmentOf, named } from '../support/manifests.js';

/** What is not for the chart to set, and why. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  SHARE_PORTS: 'a pod has its ports to itself',
  SERVE_WHILE_STOPPING: 'the kubelet waits for preStopSeconds before it stops a pod',
  DATA_DIR: 'development only',
  SIMULATOR_PORT: 'development only',
};

const SOURCE = globSync('src/config/*.ts')
  .filter((file) => !file.endsWith('.spec.ts'))
  .map((file) => readFileSync(file, 'utf8'))
  .join('\n');

/** Every variable that the configuration asks for by name, and those of the providers' file that is shipped. */
function variablesOfTheSource(): string[] {
  const asked = SOURCE.matchAll(/\b(?:plain|secret|addressOf)\((?:environment, )?'([A-Z][A-Z0-9_]+)'/g);
  const shipped = readFileSync('config/providers.yaml', 'utf8').replace(/^\s*#.*$/gm, '');
  return [
    ...VARIABLE_NAMES,
    ...[...asked, ...shipped.matchAll(/\$\{([A-Z][A-Z0-9_]+)/g)].map(([, name = '']) => name),
  ];
}

/** The first column of the table in docs/configuration.md. */
function variablesOfTheDocument(): string[] {
  const rows = readFileSync('docs/configuration.md', 'utf8').match(/^\| `[A-Z][^|]*\|/gm) ?? [];
  return rows.flatMap((row) => [...row.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, name = '']) => name));
}

describe('every variable of the configuration', () => {
  const all = [...new Set([...variablesOfTheSource(), ...variablesOfTheDocument()])].sort();
  let set: Record<string, string>;

  beforeAll(async () => {
    const everything = await render(`${VALUE_SETS}/everything.yaml`);
    set = environmentOf(named(everything, 'Deployment', 'broker'));
  });

  it('is found', () => {
    expect(all.length).toBeGreaterThan(40);
    for (const name of [
      'ENCRYPTION_KEYS',
      'CLIENTS_FILE',
      'FYND_API_SECRET',
      'DATABASE_DIRECT_URL',
      'LOG_LEVEL',
    ])
      expect(all).toContain(name);
  });

  it('can be set by the chart, or there is a reason that it cannot', () => {
    const missing = all.filter((name) => !(name in set) && !(`${name}_FILE` in set) && !(name in ELSEWHERE));
    expect(missing).toEqual([]);
    expect(Object.keys(ELSEWHERE).filter((name) => !all.includes(name) || name in set)).toEqual([]);
  });

  it('is one: the chart sets nothing that the broker does not read', () => {
    const ofTheExample = /^CRM_|^NODE_EXTRA_CA_CERTS$/;
    const unread = Object.keys(set)
      .filter((name) => !ofTheExample.test(name))
      .filter((name) => !all.includes(name) && !all.includes(name.replace(/_FILE$/, '')))
      .filter((name) => !SOURCE.includes(`'${name}'`));
    expect(unread).toEqual([]);
  });

  it('has its text as the broker reads it', () => {
    expect(set).toMatchObject({
      NODE_ENV: 'production',
      CACHED_TOKENS: '900000',
      CRM_LIMIT: '2000000',
      CRM_SHARE: '0.5',
      DATABASE_NAMED_STATEMENTS: 'on',
      AUDIT_STDOUT: 'true',
      SERVE_WITHOUT_DATABASE: '0',
      MIGRATE_ON_START: 'false',
      CLIENTS_FILE: '/etc/token-broker/files/clients.yaml',
      ADMIN_KEY_FILE: '/etc/token-broker/secrets/ADMIN_KEY',
    });
  });

  it('that lets callers in stays away from a public side of its own', async () => {
    const apart = await render(`${VALUE_SETS}/separate-public.yaml`);
    const [inside, outside] = ['broker-token-broker', 'broker-token-broker-public'].map((name) =>
      environmentOf(named(apart, 'Deployment', name)),
    );
    const differing = Object.keys(inside ?? {}).filter((name) => inside?.[name] !== outside?.[name]);
    expect(differing.sort()).toEqual([
      'ADMIN_KEY_FILE',
      'CLIENTS_FILE',
      'PORT',
      'PUBLIC_PORT',
      'TLS_CERT_FILE',
      'TLS_KEY_FILE',
      'WEBHOOKS_FILE',
      'WORKLOAD_ISSUERS',
    ]);
    expect([inside?.['PORT'], inside?.['PUBLIC_PORT'], outside?.['PORT'], outside?.['PUBLIC_PORT']]).toEqual([
      '8080',
      'off',
      'off',
      '8081',
    ]);
    expect(JSON.stringify(named(apart, 'Deployment', 'broker-token-broker-public'))).not.toMatch(
      /ADMIN_KEY|clients\.yaml|webhooks/,
    );
  });
});
