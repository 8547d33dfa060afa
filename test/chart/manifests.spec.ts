import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { CHART, type Manifest, REQUIRED, render, runHelm, VALUE_SETS } from '../support/helm.js';
import type { Json } from '../support/http.js';
import { containerOf, environmentOf, faultsOf, named, ofKind, podOf } from '../support/manifests.js';

const SETS = globSync(`${VALUE_SETS}/*.yaml`).sort();

const MEANT_FOR_RESTRICTED_PODS = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

describe('the chart', () => {
  it('has value sets enough to try it with', () => expect(SETS.length).toBeGreaterThanOrEqual(6));

  it('belongs to this release', async () => {
    const chart = await runHelm('show', 'chart', CHART);
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(chart).toMatch(new RegExp(`^appVersion: ${version.replaceAll('.', '\\.')}$`, 'm'));
  });

  it('is packaged without what only tests need', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chart-'));
    try {
      const packed =
        (await runHelm('package', CHART, '--destination', folder)).trim().split(': ').pop() ?? '';
      expect(await runHelm('template', 'broker', packed, '--values', REQUIRED)).toContain('kind: Deployment');
      await expect(runHelm('show', 'values', packed)).resolves.toContain('terminationGracePeriodSeconds');
      expect(await runHelm('template', 'broker', packed, '--values', REQUIRED)).toBe(
        await runHelm('template', 'broker', CHART, '--values', REQUIRED),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('tells who installs it what there is, what it costs, and what is still to do', async () => {
    const told = await runHelm('install', 'tb', CHART, '--dry-run=client', '--values', REQUIRED);
    const notes = told.slice(told.indexOf('NOTES:'));
    expect(notes).toContain('https://tb-token-broker.default:8080/v1');
    // (3 replicas + 1) × (10 + 4)
    expect(notes).toContain('Connections to PostgreSQL: up to 56,');
    expect(notes).toContain('kubectl label namespace NAMESPACE token-broker/access=true');
    expect(notes).toMatch(/Set settings\.TRUSTED_PROXIES[^]*Nobody may call yet/);
    const separate = `${VALUE_SETS}/separate-public.yaml`;
    // (3 + 3 + 2) × (10 + 4)
    expect(await runHelm('install', 'tb', CHART, '--dry-run=client', '--values', separate)).toContain(
      'up to 112,',
    );
  });

  it('restarts pods whose files have changed, and no others', async () => {
    const annotations = async (...changes: string[]): Promise<unknown> => {
      const deployment = named(await render(REQUIRED, changes), 'Deployment', 'broker-token-broker');
      return (deployment['spec'] as { template: { metadata: { annotations: unknown } } }).template.metadata
        .annotations;
    };
    const before = await annotations();
    expect(await annotations('replicas=7')).toEqual(before);
    expect(await annotations('files.clients.content=clients: []')).not.toEqual(before);
  });
});

describe.each(SETS.map((path) => [basename(path, '.yaml'), path]))(
  'rendered with %s, the chart',
  (_, path) => {
    let all: Manifest[];

    beforeAll(async () => {
      all = await render(path);
    });

    it('passes helm’s own lint', async () => {
      expect(await runHelm('lint', '--strict', CHART, '--values', path)).toContain('0 chart(s) failed');
    });

    it('is what Kubernetes knows, to the last name', async () => {
      expect(all.length).toBeGreaterThan(6);
      expect((await Promise.all(all.map(faultsOf))).flat()).toEqual([]);
      const names = all.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
      expect(new Set(names).size).toBe(names.length);
    });

    it('makes pods that are restricted', () => {
      const pods = all.filter((it) => podOf(it));
      expect(pods.length).toBeGreaterThan(1);
      for (const manifest of pods) {
        const { securityContext, containers, volumes = [], ...pod } = podOf(manifest) ?? { containers: [] };
        expect(pod.initContainers).toBeUndefined();
        for (const forbidden of ['hostNetwork', 'hostPID', 'hostIPC']) expect(pod[forbidden]).toBeUndefined();
        expect(securityContext).toMatchObject({
          runAsNonRoot: true,
          seccompProfile: { type: 'RuntimeDefault' },
        });
        expect((securityContext as Json)['runAsUser']).not.toBe(0);
        for (const container of containers) {
          expect(container['securityContext']).toEqual({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            runAsNonRoot: true,
            capabilities: { drop: ['ALL'] },
          });
          expect(JSON.stringify(container.ports ?? [])).not.toContain('hostPort');
        }
        for (const { name, ...source } of volumes)
          expect([name, MEANT_FOR_RESTRICTED_PODS]).toEqual([
            name,
            expect.arrayContaining(Object.keys(source)),
          ]);
      }
    });

    it('opens nothing but /fp and /oauth to the outside', () => {
      const services = ofKind(all, 'Service');
      expect(services).toHaveLength(3);
      for (const { spec } of services as { spec: Json }[] & Manifest[]) {
        expect(spec['type']).toBe('ClusterIP');
        expect(spec['externalIPs']).toBeUndefined();
      }
      const outside = ofKind(all, 'Ingress').map(({ spec }) => spec as { rules: IngressRule[] } & Json);
      for (const { rules, ...rest } of outside) {
        expect(rest['defaultBackend']).toBeUndefined();
        for (const { host, http } of rules) {
          expect(host).toMatch(/\.example$/);
          expect(http.paths.map((it) => [it.path, it.pathType])).toEqual([
            ['/fp', 'Prefix'],
            ['/oauth', 'Prefix'],
          ]);
          for (const { backend } of http.paths) {
            const service = named(all, 'Service', backend.service.name)['spec'] as ServiceSpec;
            expect(service.ports).toEqual([
              expect.objectContaining({ name: backend.service.port.name, targetPort: 'public' }),
            ]);
            const behind = ofKind(all, 'Deployment').filter((it) => isSelected(it, service.selector));
            expect(behind).toHaveLength(1);
            for (const deployment of behind) {
              const port = containerOf(deployment).ports?.find(
                ({ name }) => name === 'public',
              )?.containerPort;
              expect(String(port)).toBe(environmentOf(deployment)['PUBLIC_PORT']);
            }
          }
        }
      }
      const known = ['Service', 'Ingress'];
      expect(all.filter(({ kind }) => /route|gateway|balancer/i.test(kind) && !known.includes(kind))).toEqual(
        [],
      );
    });

    it('holds no secret, only where each is', () => {
      expect(ofKind(all, 'Secret')).toEqual([]);
      for (const deployment of ofKind(all, 'Deployment')) {
        const environment = environmentOf(deployment);
        expect(containerOf(deployment).env.length).toBe(Object.keys(environment).length);
        expect(environment['DATABASE_URL_FILE']).toBe('/etc/token-broker/secrets/DATABASE_URL');
        for (const name of ['DATABASE_URL', 'ENCRYPTION_KEYS', 'ADMIN_KEY', 'FYND_API_SECRET'])
          expect([name, environment[name]]).toEqual([name, undefined]);
      }
    });

    it('encrypts what comes to the internal port, or leaves it to a mesh', () => {
      const environment = environmentOf(ofKind(all, 'Deployment')[0] as Manifest);
      const isMesh = readFileSync(path, 'utf8').includes('mode: mesh');
      expect([environment['TLS_CERT_FILE'], environment['TLS_KEY_FILE']]).toEqual(
        isMesh ? [undefined, undefined] : ['/etc/token-broker/tls/tls.crt', '/etc/token-broker/tls/tls.key'],
      );
    });

    it('gives a pod time for its longest stop, and keeps it serving before that', () => {
      const limit = (name: string): number =>
        Number(
          new RegExp(`const ${name} = ([\\d_]+);`)
            .exec(readFileSync('src/broker.ts', 'utf8'))?.[1]
            ?.replaceAll('_', ''),
        );
      const longest = (limit('STOP_MS') + limit('CLOSE_MS')) / 1_000;
      expect(longest).toBeGreaterThan(30);
      for (const deployment of ofKind(all, 'Deployment')) {
        const { lifecycle } = containerOf(deployment) as {
          lifecycle?: { preStop: { sleep: { seconds: number } } };
        };
        const before = lifecycle?.preStop.sleep.seconds ?? 0;
        expect(before).toBeGreaterThan(0);
        expect(podOf(deployment)?.['terminationGracePeriodSeconds']).toBeGreaterThanOrEqual(before + longest);
      }
    });

    it('lets no more than one replica of each kind be evicted at a time', () => {
      for (const deployment of ofKind(all, 'Deployment')) {
        const budgets = ofKind(all, 'PodDisruptionBudget').filter(({ spec }) =>
          isSelected(deployment, (spec as { selector: { matchLabels: Labels } }).selector.matchLabels),
        );
        expect(budgets.map(({ spec }) => (spec as Json)['maxUnavailable'])).toEqual([1]);
      }
    });
  },
);

type Labels = Readonly<Record<string, string>>;

interface ServiceSpec {
  readonly selector: Labels;
  readonly ports: readonly Json[];
}

interface IngressRule {
  readonly host: string;
  readonly http: {
    readonly paths: readonly {
      readonly path: string;
      readonly pathType: string;
      readonly backend: {
        readonly service: { readonly name: string; readonly port: { readonly name: string } };
      };
    }[];
  };
}

function isSelected(deployment: Manifest, selector: Labels): boolean {
  const { template } = deployment['spec'] as { template: { metadata: { labels: Labels } } };
  return Object.entries(selector).every(([name, value]) => template.metadata.labels[name] === value);
}
