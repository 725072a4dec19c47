/** The `gpu-run.yaml` that `gpu-run init` writes: what is found in the folder, and a comment for everything else. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { toMachineName } from '../core/run-id.ts';

export type ProjectKind = 'python' | 'node' | 'notebook' | 'unknown';

/** For editors; there where gpu-run is a package of the project. */
const schemaFile = 'node_modules/gpu-run/schema/gpu-run.schema.json';

interface Recipe {
  readonly found: ProjectKind;
  /** YAML of `setup:` and `train:`; null: not known. */
  readonly setup: string | null;
  readonly train: string | null;
  /** The program's file, where it is one. */
  readonly script?: string | undefined;
}

/** Looks at the folder and asks nothing. The text loads without errors as it stands. */
export function starterConfig(folder: string): { readonly text: string; readonly found: ProjectKind } {
  const names = readdirSync(folder).sort();
  const recipe = pythonRecipe(names) ?? nodeRecipe(names, folder) ?? notebookRecipe(names) ?? { found: 'unknown', setup: null, train: null };
  const schema = existsSync(join(folder, schemaFile)) ? `# yaml-language-server: $schema=${schemaFile}\n` : '';
  return { text: `${schema}${starterText(toMachineName(basename(resolve(folder))), recipe, outputsOf(folder, recipe.script))}`, found: recipe.found };
}

function pythonRecipe(names: readonly string[]): Recipe | null {
  const script = ['train.py', 'main.py'].find((name) => names.includes(name));
  const setup = pythonSetup(names);
  if (script === undefined && (setup === null || firstNotebook(names) !== undefined)) return null;
  return { found: 'python', setup, train: script === undefined ? null : `${inVenv(setup, 'python3')} ${script}`, script };
}

/** Distributions refuse pip outside of one; what the machine's image brings along (PyTorch with CUDA) stays visible inside. */
const venv = 'python3 -m venv --system-site-packages .venv';

function inVenv(setup: string | null, program: string): string {
  return setup?.startsWith(venv) === true ? `.venv/bin/${program}` : program;
}

function pythonSetup(names: readonly string[]): string | null {
  if (names.includes('requirements.txt')) return `${venv} && .venv/bin/pip install -r requirements.txt`;
  if (names.includes('environment.yml')) return 'conda env update --name base --file environment.yml';
  if (names.includes('pyproject.toml')) return `${venv} && .venv/bin/pip install .`;
  return null;
}

function nodeRecipe(names: readonly string[], folder: string): Recipe | null {
  if (!names.includes('package.json')) return null;
  const setup = names.includes('package-lock.json') ? 'npm ci' : 'npm install';
  return { found: 'node', setup, train: nodeCommand(names, packageScripts(join(folder, 'package.json'))) };
}

function nodeCommand(names: readonly string[], scripts: readonly string[]): string | null {
  if (scripts.includes('train')) return 'npm run train';
  const file = ['train.js', 'train.mjs', 'train.ts', 'main.js', 'index.js'].find((name) => names.includes(name));
  if (file !== undefined) return `node ${file}`;
  return scripts.includes('start') ? 'npm start' : null;
}

function packageScripts(file: string): string[] {
  try {
    const { scripts } = JSON.parse(readFileSync(file, 'utf8')) as { readonly scripts?: Record<string, string> };
    return Object.keys(scripts ?? {});
  } catch {
    return []; // not ours to complain about: npm will
  }
}

/** As a list of words: a notebook's name may hold anything. */
function notebookRecipe(names: readonly string[]): Recipe | null {
  const notebook = firstNotebook(names);
  if (notebook === undefined) return null;
  const setup = pythonSetup(names) ?? `${venv} && .venv/bin/pip install jupyter`;
  const words = [inVenv(setup, 'jupyter'), 'nbconvert', '--to', 'notebook', '--execute', '--output-dir', 'outputs', `./${notebook}`];
  return { found: 'notebook', setup, train: JSON.stringify(words) };
}

function firstNotebook(names: readonly string[]): string | undefined {
  return names.find((name) => name.endsWith('.ipynb'));
}

/** The usual folders that the script names in quotes. */
function outputsOf(folder: string, script: string | undefined): readonly string[] {
  const text = script === undefined ? '' : textOf(join(folder, script));
  const named = ['outputs', 'runs', 'checkpoints', 'lightning_logs'].filter((name) => new RegExp(`['"](\\./)?${name}['"/]`).test(text));
  return named.length === 0 ? ['outputs/'] : named.map((name) => `${name}/`);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // a folder of that name, or one that may not be read: whoever runs it will be told
  }
}

function starterText(name: string, { setup, train }: Recipe, outputs: readonly string[]): string {
  return `# What gpu-run does for this folder. Each flag of the command line beats what stands here.

name: ${/^(null|true|false)$/.test(name) ? `'${name}'` : name}

# Where the machine comes from. Without it: a machine on this computer, which costs nothing.
# provider: ssh
# ssh: { host: gpubox.example.org, price-per-hour: 1.20 }
# gpu: L4:1

# Run once on the machine, and again when it, or a file that it names, has changed.
${setup === null ? `# setup: ${venv} && .venv/bin/pip install -r requirements.txt` : `setup: ${setup}`}

# The command. Its exit code becomes the exit code of gpu-run train.
${train === null ? '# train: python3 train.py --epochs 4' : `train: ${train}`}

# What the job writes there is pulled back when it has ended; all else is gone with the machine.
outputs: [${outputs.join(', ')}]

# What git ignores is not sent. Data that git ignores, but the job needs:
# sync:
#   exclude: [notes/]
#   data: [{ from: ../pets, to: data/pets }]

# env: { PYTHONHASHSEED: "0" }
# Values of secrets come from the environment of gpu-run and are never written down.
# secrets: [WANDB_API_KEY]

# Metrics are read from the log: JSON lines, Keras, Hugging Face, Lightning, tqdm, "epoch 3: loss=0.5". For other lines, say how:
# metrics: { loss: 'loss=([0-9.]+)' }
# They are sent to an MLflow server as well:
# mlflow: { tracking-uri: http://mlflow.example.org:5000 }

# Started again from its newest checkpoint when the machine is taken back or lost:
# retry: { on: [preempted, lost], attempts: 3, resume-from: checkpoints/ }

# What the log may take on the machine's disk:
# log: { limit: 1GB }

# The machine ends at these limits, whatever happens.
limits:
  max-time: 4h
  idle: 15m
  # budget: 3.00
`;
}
