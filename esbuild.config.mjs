// Packs the service, with the packages that it stands on, into dist/packed: most of a start was looking for 2,500 modules
// and opening them. What is loaded where it is wanted alone, as tracing is, is a file of its own.
import { build } from 'esbuild';

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

await build({
  // It is compiled already: esbuild knows no metadata of decorators.
  entryPoints: ['dist/main.js'],
  // As deep as the folders of src: files are found by import.meta.url.
  outdir: 'dist/packed',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node22',
  // Nest imports class-transformer where it is wanted, by import(): as CommonJS it would come without its names.
  mainFields: ['module', 'main'],
  external: [...ABSENT, '@aws-sdk/client-kms', 'reflect-metadata'],
  banner: {
    js: [
      // Before any class is decorated, whichever file that is in.
      "import 'reflect-metadata';",
      // For packages that are CommonJS.
      "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    ].join('\n'),
  },
  // Nest tells classes apart by their names, and says them in its log.
  keepNames: true,
  // Source text stays in memory.
  minifyWhitespace: true,
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
});
