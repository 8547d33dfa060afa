/**
 * Who may import whom. Each folder of src/ imports only what is named beside it; whatever is not listed here
 * is refused, circles are refused, and so is anything that is not declared in package.json.
 */
const ground = ['shared', 'config', 'vault', 'telemetry', 'database', 'http'];
const heart = [...ground, 'audit', 'clients', 'provider', 'outbox'];

const mayImport = {
  shared: [],
  config: ['shared'],
  vault: ['shared', 'config', 'database', 'telemetry'],
  telemetry: ['shared'],
  database: ['shared', 'config'],
  http: ['shared', 'telemetry'],
  audit: ['shared', 'config', 'database', 'telemetry', 'http'],
  clients: ['shared', 'config', 'vault', 'database', 'telemetry', 'http', 'audit'],
  provider: ['shared', 'config', 'telemetry'],
  outbox: ['shared', 'database'],
  token: heart,
  session: [...heart, 'token'],
  oauth: [...heart, 'token', 'session'],
  konnect: [...heart, 'token'],
  portal: [...heart, 'token'],
  health: [...heart, 'token'],
  webhooks: [...heart, 'token'],
  keys: [...ground, 'audit', 'clients'],
  console: [...heart, 'token'],
  docs: ['shared', 'config', 'http'],
  // What `npm start` adds on a machine that has nothing. The service itself never imports it; main.ts loads it
  // by a dynamic import, in development only.
  development: ['shared'],
  // Asks a running broker over its API, as any caller does.
  import: ['shared'],
  // Looks at what the broker would work with, as the broker would.
  doctor: ['shared', 'config', 'database', 'vault', 'provider', 'oauth', 'import'],
  cli: ['shared', 'config', 'database', 'vault', 'telemetry', 'audit', 'import', 'doctor'],
};

const tableRules = Object.entries(mayImport).map(([folder, allowed]) => ({
  name: `${folder}-imports-only-what-it-may`,
  severity: 'error',
  from: { path: `^src/${folder}/`, pathNot: '\\.spec\\.ts$' },
  to: { path: '^src/', pathNot: [folder, ...allowed].map((name) => `^src/${name}/`) },
}));

module.exports = {
  forbidden: [
    ...tableRules,
    {
      name: 'every-folder-stands-in-the-table',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: Object.keys(mayImport).map((name) => `^src/${name}/`) },
      to: {},
    },
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'only-declared-packages',
      severity: 'error',
      from: { path: '^src/|^simulator/|^bench/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'unknown', 'undetermined'] },
    },
    {
      name: 'no-dev-packages-in-production',
      severity: 'error',
      from: { path: '^src/|^simulator/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'the-simulator-stands-alone',
      severity: 'error',
      from: { path: '^simulator/' },
      to: { path: '^src/' },
    },
    {
      // It measures what runs, and so runs the programs of both; of the broker it takes parts, by '#broker/'.
      name: 'nothing-imports-benchmarks',
      severity: 'error',
      from: { path: '^src/|^simulator/' },
      to: { path: '^bench/' },
    },
    {
      name: 'nothing-imports-tests',
      severity: 'error',
      from: { path: '^src/|^simulator/|^bench/', pathNot: '\\.spec\\.ts$' },
      to: { path: '^test/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
