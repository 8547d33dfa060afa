// To load Nest, TypeORM and whatever else the broker stands on anew for each test file took a third of the tests' time.
// Here these packages are packed into one script, which each of jest's workers compiles once and runs for each file: what
// they keep in memory is still the file's own. What is imported by the name of one is a small module that hands on what
// the script has of it.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { constants, Script } from 'node:vm';

const ROOT = join(import.meta.dirname, '../..');
const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/** Few files need them. */
const LEFT_OUT = ['@aws-sdk/client-kms', 'swagger-ui-dist'];

/** What is imported of a package has to be here, or there would be two of it. */
const NAMES = [
  ...Object.keys(dependencies).filter((name) => !LEFT_OUT.includes(name)),
  '@nestjs/common/constants.js',
  '@nestjs/platform-fastify/constants.js',
  '@nestjs/testing',
];

/** What Nest and pg would use where it is installed. */
const ABSENT = [
  '@fastify/multipart',
  '@fastify/static',
  '@fastify/view',
  '@nestjs/microservices',
  '@nestjs/platform-express',
  '@nestjs/websockets',
  'pg-native',
];

const CACHE = join(ROOT, 'node_modules/.cache/test-packages');
const FOLDER = join(CACHE, versionOf('package-lock.json', 'test/support/packages.mjs'));

function versionOf(...files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(join(ROOT, file)));
  return hash.digest('hex').slice(0, 16);
}

function moduleFor(name, folder = FOLDER) {
  return join(folder, `${name.replace(/\.js$/, '')}.mjs`);
}

/** The modules that stand for packages, by what they are imported as. */
export const MODULES = new Map(NAMES.map((name) => [name, moduleFor(name)]));

/** Packs them, unless that is done already. */
export async function packPackages() {
  if (existsSync(FOLDER)) return;
  rmSync(CACHE, { recursive: true, force: true });
  const folder = `${FOLDER}.${process.pid}`;
  for (const name of NAMES) {
    const file = moduleFor(name, folder);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `export * as all from '${name}';`);
  }
  const getters = NAMES.map(
    (name) => `get '${name}'() { return require('${moduleFor(name, folder)}').all; }`,
  );
  // Who only runs what is packed has no use for it.
  const { build } = await import('esbuild');
  await build({
    stdin: { contents: `export const packages = {${getters.join()}};`, resolveDir: ROOT },
    outfile: join(folder, 'packages.cjs'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    mainFields: ['main'],
    external: ABSENT,
    // Nest tells classes apart by their names, and says them in its log.
    keepNames: true,
    define: { 'import.meta': 'importMeta' },
    banner: { js: 'module.exports = (function (require, importMeta) { const module = {};' },
    footer: { js: 'return module.exports.packages; })' },
    logLevel: 'error',
  });
  const packages = requirePackages(folder);
  for (const name of NAMES) {
    const exported = Object.keys(packages[name]).filter((key) => /^[\w$]+$/.test(key));
    const lines = exported.map((key, at) => `const _${at} = all.${key}; export { _${at} as ${key} };`);
    writeFileSync(moduleFor(name, folder), `const all = packages['${name}'];\n${lines.join('\n')}`);
  }
  renameSync(folder, FOLDER);
}

/** Compiles the script; what is returned runs it in a context. */
export function loadPackages() {
  const filename = join(FOLDER, 'packages.cjs');
  const script = new Script(
    `(function (module) {${readFileSync(filename, 'utf8')}\nreturn module.exports; })`,
    {
      filename,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    },
  );
  return (context) => give(script.runInContext(context)({}), filename);
}

/** Loads the script as any other, so that Node keeps what it has compiled of it. */
export function requirePackages(folder = FOLDER) {
  const filename = join(folder, 'packages.cjs');
  return give(createRequire(filename)(filename), filename);
}

function give(script, filename) {
  return script(createRequire(filename), { url: pathToFileURL(filename).href });
}
