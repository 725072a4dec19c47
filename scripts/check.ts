/** `npm run check`: types, lint and format, import rules, dead code. All of them run, then one line says which failed. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const repository = join(import.meta.dirname, '..');
const installed = (...names: string[]) => join(repository, 'node_modules', ...names);

const checks: readonly { readonly name: string; readonly argv: readonly string[] }[] = [
  { name: 'types', argv: [installed('typescript', 'bin', 'tsc'), '-p', '.'] },
  // On machines the runner may find a Node 20, which lacks what later ones have.
  { name: 'types of the runner, for Node 20', argv: [installed('typescript', 'bin', 'tsc'), '-p', 'tsconfig.runner.json'] },
  { name: 'lint', argv: [installed('@biomejs', 'biome', 'bin', 'biome'), 'check', '--error-on-warnings', '--max-diagnostics=50'] },
  { name: 'imports', argv: [join(repository, 'scripts', 'check-boundaries.ts')] },
  { name: 'dead code', argv: [installed('knip', 'bin', 'knip.js'), '--no-progress'] },
];

const failed = checks.filter(({ name, argv }) => {
  console.log(`--- ${name}`);
  return spawnSync(process.execPath, argv, { cwd: repository, stdio: 'inherit' }).status !== 0;
});

console.log(failed.length === 0 ? `check: all ${checks.length} passed` : `check: failed: ${failed.map(({ name }) => name).join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
