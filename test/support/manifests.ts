import type { Manifest } from './helm.js';
import type { Json } from './http.js';

interface PodSpec extends Json {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Json[];
}

export interface Container extends Json {
  readonly name: string;
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
}

/** Whose schemas know an API group that is not Kubernetes' own. */
const PACKAGES: Readonly<Record<string, string>> = {
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'external-secrets.io': '@kubernetes-models/external-secrets',
  'cert-manager.io': '@kubernetes-models/cert-manager',
};

/** What its schema says against an object, and what it has that its schema does not know: a mistyped name would be ignored. */
export async function faultsOf(manifest: Manifest): Promise<string[]> {
  const { apiVersion, kind } = manifest;
  const from = PACKAGES[apiVersion.split('/')[0] ?? ''] ?? 'kubernetes-models';
  const models = (await import(`${from}/${apiVersion}/${kind}`)) as Record<
    string,
    { prototype: { validate(): void } }
  >;
  const asked = new Set<string>();
  const where = `${kind} ${manifest.metadata.name}`;
  try {
    models[kind]?.prototype.validate.call(noting(manifest, '', asked));
  } catch (error) {
    return [`${where}: ${(error as Error).message}`];
  }
  return pathsOf(manifest)
    .filter((path) => !asked.has(path))
    .map((path) => `${where}: nobody knows ${path}`);
}

/** The same value, which notes what is read of it: a schema reads all that it knows. */
function noting<T extends object>(value: T, path: string, asked: Set<string>): T {
  return new Proxy(value, {
    get(target, key) {
      const found: unknown = Reflect.get(target, key);
      const inside = `${path}/${String(key)}`;
      asked.add(inside);
      return typeof found === 'object' && found !== null ? noting(found, inside, asked) : found;
    },
  });
}

function pathsOf(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inside]) => [
    `${path}/${key}`,
    ...pathsOf(inside, `${path}/${key}`),
  ]);
}

export function ofKind(manifests: readonly Manifest[], kind: string): Manifest[] {
  return manifests.filter((manifest) => manifest.kind === kind);
}

/** The one object of a kind with this name. */
export function named(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const [found, ...more] = ofKind(manifests, kind).filter((manifest) => manifest.metadata.name === name);
  if (!found || more.length > 0) throw new Error(`${more.length + (found ? 1 : 0)} of ${kind} ${name}`);
  return found;
}

/** What a Deployment, a Job or a Pod runs; undefined for what runs nothing. */
export function podOf(manifest: Manifest): PodSpec | undefined {
  const spec = manifest['spec'] as (PodSpec & { template?: { spec?: PodSpec } }) | undefined;
  if (spec?.template?.spec) return spec.template.spec;
  return spec?.containers ? spec : undefined;
}

/** Of a pod with one container. */
export function containerOf(manifest: Manifest): Container {
  const container = podOf(manifest)?.containers[0];
  if (!container) throw new Error(`${manifest.kind} ${manifest.metadata.name} runs nothing`);
  return container;
}

export function environmentOf(manifest: Manifest): Record<string, string> {
  return Object.fromEntries(containerOf(manifest).env.map(({ name, value }) => [name, value]));
}
