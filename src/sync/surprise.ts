/**
 * What is surprisingly big among the code that is about to be sent: a forgotten data set, packages, runs of earlier jobs. Data that the
 * config names is meant, so nothing is said of it. May import core.
 */
import { formatSize } from '../core/size.ts';

export interface Surprise {
  /** Relative to the workdir. */
  readonly path: string;
  readonly isFolder: boolean;
  readonly files: number;
  readonly bytes: number;
  /** What it looks like, as in `packages of npm`; null: nothing that is known, it is just big. */
  readonly looksLike: string | null;
}

export interface Outgoing {
  readonly path: string;
  readonly size: number;
}

/** While it is added up. */
interface Sum extends Surprise {
  files: number;
  bytes: number;
}

/** Bytes from which on something is said: of a folder that programs make, of a core dump, and of all that is sent. */
const generatedAtLeast = 200e6;
const dumpAtLeast = 50e6;
const muchAtLeast = 1e9;

/** Of much, at most so many folders are named, each at least this part of all. */
const namedAtMost = 3;
const leastPart = 0.1;
/** A folder that holds nearly all of the one above it is named in its stead. */
const nearlyAll = 0.9;
const deepest = 4;

/** Folders by name that programs make. None that people name so themselves, such as `data` or `models`: those count only when all is much. */
const generatedFolders: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'packages of npm': ['node_modules', '.pnpm-store', '.yarn'],
    'a virtual environment of Python': ['.venv', 'venv', '.virtualenv', 'virtualenv', 'site-packages', '.conda', '.pixi'],
    'caches of Python tools': ['__pycache__', '.mypy_cache', '.pytest_cache', '.ruff_cache', '.tox', '.nox', '.eggs'],
    'runs of Weights & Biases': ['wandb'],
    'runs of MLflow': ['mlruns', 'mlartifacts'],
    'logs and checkpoints of Lightning': ['lightning_logs'],
    'checkpoints of earlier runs': ['checkpoints', 'checkpoint', 'ckpts', 'ckpt'],
    'outputs of earlier runs': ['runs', 'outputs', 'multirun', 'tb_logs'],
    'a cache': ['.cache', '.dvc', '.ccache', '.gradle', '.ipynb_checkpoints'],
    'records of a version control system': ['.hg', '.svn', '.jj'],
    'what a build has made': ['build', 'dist', 'target', '.next', '.terraform', 'bazel-out', '.parcel-cache'],
  }).flatMap(([what, names]) => names.map((name) => [name, what] as const)),
);

/** Biggest first. Empty: nothing that anybody has to hear of. */
export function findSurprises(files: Iterable<Outgoing>): readonly Surprise[] {
  const known = new Map<string, Sum>();
  const folders = new Map<string, Sum>();
  let total = 0;
  for (const { path, size } of files) {
    total += size;
    const generated = generatedIn(path, size);
    if (generated !== null) add(known, generated.path, generated.isFolder, size, generated.looksLike);
    else addToFolders(folders, path, size);
  }
  const surprises: Surprise[] = [...known.values()].filter(({ bytes, isFolder }) => !isFolder || bytes >= generatedAtLeast);
  if (total >= muchAtLeast) surprises.push(...heaviest(folders, total));
  return surprises.sort((a, b) => b.bytes - a.bytes);
}

/** The outermost of its folders that programs make, or itself when it is a core dump. */
function generatedIn(path: string, size: number): Pick<Surprise, 'path' | 'isFolder' | 'looksLike'> | null {
  let from = 0;
  for (let to = path.indexOf('/'); to !== -1; to = path.indexOf('/', from)) {
    const name = path.slice(from, to);
    const looksLike = generatedFolders.get(name) ?? (/^checkpoint[-_]\d+$/.test(name) ? 'a checkpoint of an earlier run' : null);
    if (looksLike !== null) return { path: path.slice(0, to), isFolder: true, looksLike };
    from = to + 1;
  }
  const isDump = size >= dumpAtLeast && /^(core|core\.\d+|vgcore\.\d+|.*\.core|.*\.dmp|.*\.hprof)$/.test(path.slice(from));
  return isDump ? { path, isFolder: false, looksLike: 'a core dump' } : null;
}

function addToFolders(folders: Map<string, Sum>, path: string, size: number): void {
  let to = path.indexOf('/');
  if (to === -1) add(folders, path, false, size, null);
  for (let depth = 0; to !== -1 && depth < deepest; depth += 1) {
    add(folders, path.slice(0, to), true, size, null);
    to = path.indexOf('/', to + 1);
  }
}

function add(sums: Map<string, Sum>, path: string, isFolder: boolean, size: number, looksLike: string | null): void {
  const sum = sums.get(path);
  if (sum === undefined) sums.set(path, { path, isFolder, looksLike, files: 1, bytes: size });
  else {
    sum.files += 1;
    sum.bytes += size;
  }
}

function heaviest(folders: ReadonlyMap<string, Sum>, total: number): Surprise[] {
  const all = [...folders.values()];
  const inside = (top: Surprise): Surprise => {
    const next = all.find(({ path, bytes }) => parentOf(path) === top.path && bytes >= top.bytes * nearlyAll);
    return next === undefined ? top : inside(next);
  };
  return all
    .filter(({ path, bytes }) => parentOf(path) === '' && bytes >= total * leastPart)
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, namedAtMost)
    .map(inside);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** The line of `.gpurunignore`, beside the code, that leaves it out and nothing else. */
export function ignoreLine({ path, isFolder }: Pick<Surprise, 'path' | 'isFolder'>): string {
  return `/${path.replace(/[\\*?[\]]/g, '\\$&').replace(/ +$/, (spaces) => '\\ '.repeat(spaces.length))}${isFolder ? '/' : ''}`;
}

/** A sentence for people. `when`: `is sent now`, or `would be sent`. */
export function surpriseText(surprise: Surprise, when: 'is sent now' | 'would be sent'): string {
  const { path, isFolder, files, bytes, looksLike } = surprise;
  const what = isFolder ? `${path}/ (${formatSize(bytes)}, ${files === 1 ? '1 file' : `${files} files`})` : `${path} (${formatSize(bytes)})`;
  const seems = looksLike === null ? '' : `, which looks like ${looksLike},`;
  return `${what}${seems} ${when}. If no job needs it, leave it out by this line of .gpurunignore: ${ignoreLine(surprise)}`;
}
