/**
 * Who may import whom (CONTRIBUTING.md, "The map"). Each folder has one row: what it may see of ours, itself included.
 * `test/boundaries/` plants a violation of every rule, so that a rule that matches nothing is noticed.
 */
const ours = '^(src|remote-runner|test|scripts|bench)/';
const packages = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-bundled', 'npm-no-pkg', 'npm-unknown'];

/** Interfaces: what the layers above are written against. */
const interfaces = ['^src/providers/(provider|registry)[.]ts$', '^src/transport/(transport|connector)[.]ts$', '^src/ledger/ledger[.]ts$'];
/** What only compose may see: the concrete providers, transports and ledger. */
const concrete = '^src/(providers/[^/]+/|transport/(ssh2|openssh|connect[.]|lazy)|ledger/sqlite)';
const domain = ['^src/core/', '^src/protocol/'];

const rows = [
  { name: 'protocol', from: '^src/protocol/', may: ['^src/protocol/'] },
  { name: 'core', from: '^src/core/', may: domain },
  { name: 'interfaces', from: interfaces, may: [...domain, ...interfaces] },
  { name: 'transport', from: '^src/transport/', not: interfaces, may: [...domain, '^src/transport/'] },
  { name: 'ledger', from: '^src/ledger/', not: interfaces, may: [...domain, '^src/ledger/'] },
  { name: 'sync', from: '^src/sync/', may: [...domain, ...interfaces, '^src/sync/'] },
  { name: 'link', from: '^src/link/', may: [...domain, ...interfaces, '^src/link/'] },
  { name: 'runner', from: '^src/runner/', may: [...domain, ...interfaces, '^src/runner/'] },
  { name: 'config', from: '^src/config/', may: [...domain, ...interfaces, '^src/config/'] },
  { name: 'providers', from: '^src/providers/[^/]+[.]ts$', not: interfaces, may: [...domain, '^src/providers/[^/]+[.]ts$'] },
  // An island: its own folder ($1) and the interface, never another provider, the ledger or the config.
  { name: 'provider-islands', from: '^src/providers/([^/]+)/', may: [...domain, '^src/providers/provider[.]ts$', '^src/providers/$1/'] },
  { name: 'workflows', from: '^src/workflows/', may: [...domain, '^src/(workflows|providers|transport|ledger|sync|link|runner|config)/'] },
  { name: 'testing', from: '^src/testing/', may: [...domain, '^src/(testing|providers|transport|ledger|sync|link|runner|config)/'] },
  {
    name: 'compose',
    from: '^src/compose(-links)?[.]ts$',
    may: [...domain, '^src/compose-links[.]ts$', '^src/(workflows|providers|transport|ledger|sync|link|runner|config)/'],
  },
  { name: 'sdk', from: '^src/(sdk/|index[.]ts$)', may: [...domain, '^src/(sdk|workflows|ledger|sync|runner|config)/', '^src/compose[.]ts$'] },
  { name: 'cli', from: '^src/cli/', may: [...domain, '^src/(cli|workflows|ledger|sync|runner|config)/', '^src/compose[.]ts$'] },
  { name: 'remote-runner', from: '^remote-runner/', may: ['^remote-runner/', '^src/protocol/'] },
];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...rows.map(({ name, from, not = [], may }) => ({
      name,
      severity: 'error',
      from: { path: from, pathNot: not },
      to: { path: ours, pathNot: may },
    })),
    {
      name: 'concrete-only-in-compose',
      comment: 'Workflows and doubles are written against the interfaces; compose puts the concrete things in.',
      severity: 'error',
      from: { path: '^src/(workflows|testing)/' },
      to: { path: concrete },
    },
    {
      name: 'front-doors-call-workflows',
      comment: 'The command line and the SDK name types of the layers below, but call workflows.',
      severity: 'error',
      from: { path: '^src/(cli|sdk)/' },
      to: { path: '^src/(ledger|sync|link|runner)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'protocol-without-node',
      comment: 'The protocol is shared by both sides and imports nothing at all.',
      severity: 'error',
      from: { path: '^src/protocol/' },
      to: { dependencyTypes: ['core', ...packages] },
    },
    {
      name: 'no-packages',
      comment: 'The domain needs none, and the runner is one file that must start on any Node >= 20.',
      severity: 'error',
      from: { path: '^(src/core|remote-runner)/' },
      to: { dependencyTypes: packages },
    },
    {
      name: 'oclif-only-in-cli',
      severity: 'error',
      from: { path: '^(src|remote-runner)/', pathNot: '^src/cli/' },
      to: { path: 'node_modules/@oclif/' },
    },
    {
      name: 'ssh2-only-in-transport',
      comment: 'The transport is the client, the local provider the server; nobody else speaks SSH.',
      severity: 'error',
      from: { path: '^(src|remote-runner)/', pathNot: '^src/(transport|providers/local)/' },
      to: { path: 'node_modules/(@types/)?ssh2/' },
    },
    {
      name: 'no-cycles',
      comment: 'Type-only cycles included: they hide the same tangle.',
      severity: 'error',
      from: { path: ours },
      to: { circular: true },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: { path: '^(src|remote-runner)/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    // True: sees `import type`, inline `type` specifiers and `import('...')` types as well.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
      mainFields: ['module', 'main', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};
