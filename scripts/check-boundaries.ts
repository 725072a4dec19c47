/** The import rules of `.dependency-cruiser.cjs`, checked on a tree. Run by `npm run check`; `test/boundaries/` runs it on a planted tree. */
import { existsSync } from 'node:fs';
import { createRequire, registerHooks } from 'node:module';
import { join } from 'node:path';
import type { ICruiseResult } from 'dependency-cruiser';

const repository = join(import.meta.dirname, '..');

export interface Violation {
  readonly rule: string;
  readonly from: string;
  readonly to: string;
}

/** What breaks a rule below `root`, which holds `src` and `remote-runner` or one of them. */
export async function findViolations(root: string): Promise<{ readonly violations: readonly Violation[]; readonly files: number }> {
  giveItTypeScript6();
  const { cruise } = await import('dependency-cruiser');
  const { forbidden, options } = createRequire(import.meta.url)(join(repository, '.dependency-cruiser.cjs'));
  const folders = ['src', 'remote-runner'].filter((folder) => existsSync(join(root, folder)));
  const { output } = await cruise(folders, { ...options, ruleSet: { forbidden }, validate: true, baseDir: root }, options.enhancedResolveOptions);
  const { summary, modules } = output as ICruiseResult;
  return {
    violations: summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to })),
    files: modules.filter(({ source }) => /^(src|remote-runner)\//.test(source)).length,
  };
}

/** dependency-cruiser parses with TypeScript's JavaScript API, which ends with version 6; without it it sees no TypeScript at all. */
function giveItTypeScript6(): void {
  registerHooks({
    resolve: (specifier, context, next) => {
      const asked = /^typescript($|\/)/.test(specifier) && context.parentURL?.includes('/dependency-cruiser/');
      return next(asked ? specifier.replace('typescript', 'typescript6') : specifier, context);
    },
  });
}

if (import.meta.main) {
  const { violations, files } = await findViolations(repository);
  for (const { rule, from, to } of violations) console.error(`${from} may not import ${to} (rule '${rule}')`);
  console.log(`${files} files, ${violations.length} broken import rules`);
  process.exitCode = violations.length === 0 && files > 0 ? 0 : 1;
}
