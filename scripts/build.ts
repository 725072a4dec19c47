/**
 * Makes `dist`: the bundled command line, SDK and test doubles, the runner's one file, type declarations, and the text and the
 * manifest that make start-up fast. Run by `npm run build`.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Plugin } from '@oclif/core';
import { type BuildOptions, type Plugin as BuildPlugin, build, type Metafile } from 'esbuild';
import { wrap } from '../src/cli/render/text.ts';

const repository = join(import.meta.dirname, '..');
const dist = join(repository, 'dist');

/** Loaded by commands and by programs; they share chunks, so that one process never holds oclif or ssh2 twice. */
const sharedEntries = { main: 'src/cli/main.ts', commands: 'src/cli/commands.ts', index: 'src/index.ts', testing: 'src/testing/index.ts' };
/** A process that outlives the command that started it, and perhaps this version: one file, read whole at its start. */
const machineEntry = 'src/providers/local/machine-process.ts';
const runnerEntry = 'remote-runner/main.ts';

const anywhere: BuildOptions = { absWorkingDir: repository, bundle: true, platform: 'node', format: 'esm', logLevel: 'warning' };

/** oclif loads a package at each start to tell the Windows Subsystem for Linux from Linux, which nothing here asks: 9 ms. */
const withoutWsl: BuildPlugin = {
  name: 'without-wsl',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^wsl-utils$/ }, ({ path }) => ({ path, namespace: 'without-wsl' }));
    onLoad({ filter: /^/, namespace: 'without-wsl' }, () => ({ contents: 'export const isWsl = false;' }));
  },
};

const onThisComputer: BuildOptions = {
  ...anywhere,
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  // Node prints the whole line of an error that nobody has caught.
  lineLimit: 160,
  legalComments: 'linked',
  // ssh2 tries native speed-ups and goes on without them. Google's packages are dependencies: together with their protobuf schema they
  // are too large to bundle, and only commands that call Google load them.
  external: ['*.node', 'cpu-features', '@google-cloud/*', 'google-auth-library'],
  define: {
    // The launcher has checked Node's version; oclif would load semver for it, 6 ms.
    'process.env.OCLIF_DISABLE_ENGINE_WARNING': '"true"',
    // CommonJS packages, again.
    __dirname: 'import.meta.dirname',
    __filename: 'import.meta.filename',
  },
  plugins: [withoutWsl],
  // Its entry for Node is CommonJS; this one is the same code in modules, and what is not used of it is left out.
  alias: { yaml: './node_modules/yaml/browser/index.js' },
  // Bundled CommonJS packages ask for `require`.
  banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
};

/** Any Node >= 20, no packages, and the same bytes from the same sources: its hash names its folder on machines. */
const onMachines: BuildOptions = { ...anywhere, target: 'node20', minify: true, keepNames: true, legalComments: 'none' };

async function bundle(into: string): Promise<void> {
  const built = await Promise.all([
    build({ ...onThisComputer, entryPoints: sharedEntries, outdir: into, splitting: true, chunkNames: '[name]-[hash]', metafile: true }),
    build({ ...onThisComputer, entryPoints: { 'local-machine': machineEntry }, outdir: into, metafile: true }),
    build({ ...onMachines, entryPoints: { runner: runnerEntry }, outdir: into, outExtension: { '.js': '.mjs' }, metafile: true }),
  ]);
  for (const { metafile } of built) refuseLazyCommonJs(metafile);
}

/** Bundled, `await import()` of a CommonJS package has no named exports, though it has them when Node loads the sources. */
function refuseLazyCommonJs({ inputs }: Metafile): void {
  for (const [file, { imports }] of Object.entries(inputs)) {
    const lazy = imports.find(({ kind, path }) => kind === 'dynamic-import' && inputs[path]?.format === 'cjs');
    if (lazy === undefined || file.startsWith('node_modules/')) continue;
    throw new Error(
      `${file} loads ${lazy.original ?? lazy.path} with import(), and that is CommonJS: import it statically in a file of its own, and load that file.`,
    );
  }
}

/** Declarations keep the folders of the sources; the two files beside the bundles lead to them. */
function declareTypes(into: string): void {
  const tsc = join(repository, 'node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', join(into, 'types')], { cwd: repository, stdio: 'inherit' });
  writeFileSync(join(into, 'index.d.ts'), "export * from './types/src/index.js';\n");
  writeFileSync(join(into, 'testing.d.ts'), "export * from './types/src/testing/index.js';\n");
}

/** A folder can't be replaced in one step: between the two renames, for microseconds, there is no `dist`. */
function putInPlace(draft: string): void {
  const old = `${draft}-replaced`;
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(draft, dist);
  rmSync(old, { recursive: true, force: true });
}

/** What oclif would otherwise find out by loading every command at each start. */
async function writeManifest(): Promise<void> {
  const plugin = new Plugin({ root: repository, type: 'core', ignoreManifest: true, errorOnManifestCreate: true });
  await plugin.load();
  writeFileSync(join(repository, 'oclif.manifest.json'), `${JSON.stringify(plugin.manifest)}\n`);
}

/** A terminal's usual width: the text is the same for every terminal. */
const helpColumns = 80;

/** `bin/run.js` prints it without loading anything. */
function writeHelp(): void {
  const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', OCLIF_COLUMNS: String(helpColumns), NODE_ENV: 'production' };
  const help = execFileSync(process.execPath, [join(dist, 'main.js'), '--help'], { env, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
  // Without the platform and the Node of this build.
  const text = help.replace(/(gpu-run\/\S+) .*/, '$1');
  // oclif leaves its first line, the description, as long as it is.
  writeFileSync(
    join(dist, 'help.txt'),
    text.replace(/^.*/, (first) => wrap(first, helpColumns).join('\n')),
  );
}

const draft = mkdtempSync(join(repository, 'dist.new-'));
chmodSync(draft, 0o755);
try {
  await bundle(draft);
  declareTypes(draft);
  putInPlace(draft);
} finally {
  rmSync(draft, { recursive: true, force: true });
}
await writeManifest();
writeHelp();
