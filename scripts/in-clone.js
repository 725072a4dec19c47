#!/usr/bin/env node
/**
 * `npm run TASK` in a clone, however fresh: installs what is missing, builds what is stale, then runs the task under the Node that
 * the clone brings along. Plain JavaScript, because the Node that starts it may be older than that.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const inRepository = (...names) => join(repository, ...names);
const node24 = inRepository('node_modules', 'node', 'bin', 'node');
const vitest = inRepository('node_modules', 'vitest', 'vitest.mjs');

/** Each task's command lines under Node 24, run one after the other; `args` are the words after `--`. */
const tasks = {
  build: () => [],
  test: (args) => [[vitest, 'run', '--project', 'unit', '--project', 'e2e', ...args]],
  'test:lab': (args) => [[inRepository('scripts', 'install-lab.ts')], [vitest, 'run', '--project', 'lab-node', '--project', 'lab', ...args]],
  check: (args) => [[inRepository('scripts', 'check.ts'), ...args]],
  bench: (args) => [[inRepository('bench', 'main.ts'), ...args]],
  quickstart: (args) => [[inRepository('scripts', 'quickstart.ts'), ...args]],
};

/** What `dist` is made from. */
const buildInputs = ['src', 'remote-runner', 'scripts/build.ts', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
const builtFrom = inRepository('dist', '.built-from');

const [, , task = '', ...args] = process.argv;
if (!Object.hasOwn(tasks, task)) {
  console.error(`There is no task '${task}'. The tasks are: ${Object.keys(tasks).join(', ')}.`);
  process.exit(64);
}
if (!isInstalled()) await install();
const inputs = hashOf(buildInputs);
if (task === 'build' || !isBuiltFrom(inputs)) {
  console.error('Building dist.');
  await run(node24, [inRepository('scripts', 'build.ts')]);
  writeFileSync(builtFrom, inputs);
}
for (const line of tasks[task](args)) await run(node24, line);

/** Whether `node_modules` holds what `package-lock.json` says, by what npm itself wrote down there. */
function isInstalled() {
  const record = inRepository('node_modules', '.package-lock.json');
  if (!existsSync(record) || !existsSync(node24)) return false;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(inRepository('package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(([path, entry]) => path === '' || entry.optional || installed[path]?.version === entry.version);
}

async function install() {
  console.error('Installing packages (npm ci); this takes a minute.');
  const quiet = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--progress=false'];
  const npm = process.env.npm_execpath;
  await (npm === undefined ? run('npm', quiet, ['ignore', 2, 2]) : run(process.execPath, [npm, ...quiet], ['ignore', 2, 2]));
}

function isBuiltFrom(hash) {
  return existsSync(builtFrom) && readFileSync(builtFrom, 'utf8') === hash;
}

function hashOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths.flatMap(filesOf))
    hash
      .update(`${path}\0`)
      .update(readFileSync(inRepository(path)))
      .update('\0');
  return hash.digest('hex');
}

function filesOf(path) {
  if (!existsSync(inRepository(path))) return [];
  if (/\.\w+$/.test(path)) return [path];
  const entries = readdirSync(inRepository(path), { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? filesOf(`${path}/${entry.name}`) : [`${path}/${entry.name}`])).sort();
}

/** Runs to the end with this terminal; ends this process with the same exit code when that isn't 0. */
function run(command, argv, stdio = 'inherit') {
  const child = spawn(command, argv, { cwd: repository, stdio });
  const passOn = () => child.kill('SIGTERM');
  const wait = () => {}; // the terminal has told the child too: its exit code counts
  process.on('SIGTERM', passOn).on('SIGINT', wait);
  return new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(`${command} could not be started: ${error.message}`);
      process.exit(70);
    });
    child.on('close', (code, signal) => {
      process.off('SIGTERM', passOn).off('SIGINT', wait);
      if (code === 0) resolve();
      else process.exit(code ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}
