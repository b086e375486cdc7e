// The rules of src/ARCHITECTURE.md that a tool can hold: who may know whom.
const nodeBuiltinsButBuffer = { dependencyTypes: ['core'], pathNot: '^(node:)?buffer$' };
module.exports = {
  forbidden: [
    {
      name: 'core-imports-nothing',
      severity: 'error',
      from: { path: '^src/core', pathNot: '\\.test\\.ts$' },
      to: { pathNot: '^(src/core|(node:)?buffer$)' },
    },
    {
      name: 'protocols-import-core-only',
      severity: 'error',
      from: { path: '^protocols', pathNot: '\\.test\\.ts$' },
      to: { pathNot: '^(protocols|src/core|(node:)?buffer$)' },
    },
    {
      name: 'no-node-in-decoders',
      severity: 'error',
      from: { path: '^(protocols|src/core)', pathNot: '\\.test\\.ts$' },
      to: nodeBuiltinsButBuffer,
    },
    {
      name: 'scanners-know-no-flow',
      severity: 'error',
      from: { path: '^src/(scan|content)', pathNot: '\\.test\\.ts$' },
      to: { path: '^(src/(flow|capture|live|session|policy|log|cli|config)|protocols)' },
    },
    {
      name: 'policy-is-pure',
      severity: 'error',
      from: { path: '^src/policy', pathNot: '\\.test\\.ts$' },
      to: { path: '^(src/(flow|capture|live|scan|content|cli|log)|protocols)' },
    },
    {
      name: 'log-knows-no-engine',
      severity: 'error',
      from: { path: '^src/log', pathNot: '\\.test\\.ts$' },
      to: { path: '^(src/(flow|capture|live|scan|content|cli)|protocols)' },
    },
    {
      name: 'flow-knows-no-driver',
      severity: 'error',
      from: { path: '^src/flow', pathNot: '\\.test\\.ts$' },
      to: { path: '^src/(capture|live|cli|policy|log|config|scan|content)' },
    },
    {
      name: 'the-stage-has-no-sockets',
      severity: 'error',
      from: { path: '^src/(stage|inspector)', pathNot: '\\.test\\.ts$' },
      to: {
        path: '^(src/(capture|live|session|control|fleet|cli)|(node:)?(http|dgram|cluster|child_process)$)',
      },
    },
    {
      name: 'tables-and-commands-know-no-daemon',
      severity: 'error',
      from: { path: '^src/(session|control|quarantine)', pathNot: '\\.test\\.ts$' },
      to: { path: '^(src/(capture|live|stage|flow|content|scan|cli)|protocols)' },
    },
    {
      name: 'the-daemon-reads-no-captures',
      severity: 'error',
      from: { path: '^src/live', pathNot: '\\.test\\.ts$' },
      to: { path: '^src/(capture|fleet|cli)' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'cli-is-a-leaf',
      severity: 'error',
      from: { path: '^src', pathNot: '^src/cli|\\.test\\.ts$' },
      to: { path: '^src/cli' },
    },
    {
      name: 'no-test-helpers-in-product',
      severity: 'error',
      from: { path: '^(src|protocols)', pathNot: '(^src/testing|\\.test\\.ts$)' },
      to: { path: '^src/testing' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
