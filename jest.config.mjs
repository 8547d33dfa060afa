import { availableParallelism } from 'node:os';
import { packPackages } from './test/support/packages.mjs';

await packPackages();

/** @type {import('jest').Config} */
export default {
  testEnvironment: '<rootDir>/test/support/packages-environment.mjs',
  resolver: '<rootDir>/test/support/packages-resolver.mjs',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest'] },
  // Sources import each other as `.js`, as Node wants it; the tests run the `.ts` beside them.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  testMatch: [
    '<rootDir>/test/**/*.spec.ts',
    '<rootDir>/src/**/*.spec.ts',
    '<rootDir>/simulator/**/*.spec.ts',
  ],
  // `npm run test:long` alone runs what takes long, or needs what has to be installed first.
  testPathIgnorePatterns: [
    '/node_modules/',
    ...(process.env['LONG'] === 'true' ? [] : ['<rootDir>/test/long/']),
  ],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  // No test is about how fast the machine is: this is for one that hangs, on the slowest.
  testTimeout: 90_000,
  // jest would leave one core idle; most of the tests wait for processes and sockets, of which none is on a core of its own.
  maxWorkers: 2 * availableParallelism(),
  collectCoverageFrom: ['src/**/*.ts'],
};
