// The arrows of docs/architecture.md: pipelines → operators, infra, schemas; infra → schemas and the types of
// operators; operators → the types of schemas; schemas → nothing. schemas/errors.ts alone is a value all may use.
const TYPES = ['type-only']
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, dependencyTypesNot: TYPES } },
    {
      name: 'schemas-stand-alone',
      severity: 'error',
      from: { path: '^schemas/', pathNot: '^schemas/generate\\.ts$' },
      to: { path: '^(pipelines|operators|infra|test|bench)/' },
    },
    {
      name: 'operators-know-no-room',
      severity: 'error',
      from: { path: '^operators/' },
      to: { path: '^(pipelines|infra|test|bench)/' },
    },
    {
      name: 'operators-use-schema-types-only',
      severity: 'error',
      from: { path: '^operators/' },
      to: { path: '^schemas/', pathNot: '^schemas/errors\\.ts$', dependencyTypesNot: TYPES },
    },
    {
      name: 'operators-are-pure',
      severity: 'error',
      from: { path: '^operators/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'operators-depend-on-rxjs-only',
      severity: 'error',
      from: { path: '^operators/' },
      to: { dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer'], pathNot: 'node_modules/rxjs/' },
    },
    {
      name: 'infra-uses-operator-types-only',
      severity: 'error',
      from: { path: '^infra/' },
      to: { path: '^operators/', dependencyTypesNot: TYPES },
    },
    {
      name: 'infra-knows-no-pipeline',
      severity: 'error',
      from: { path: '^infra/' },
      to: { path: '^(pipelines|test|bench)/' },
    },
    {
      name: 'shipped-code-knows-no-test',
      severity: 'error',
      from: { path: '^(pipelines|operators|schemas|infra)/' },
      to: { path: '^(test|bench)/' },
    },
    {
      name: 'shipped-code-uses-shipped-packages',
      severity: 'error',
      from: { path: '^(pipelines|operators|infra)/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: TYPES },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
}
