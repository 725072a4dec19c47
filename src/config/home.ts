/** Where gpu-run keeps its state on this computer, and nowhere else. */
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';

export interface HomePaths {
  readonly root: string;
  readonly ledger: string;
  /** One private key per machine, `<id>` and `<id>.pub`. */
  readonly keys: string;
  /** Folders of `local` machines. */
  readonly local: string;
  /** What each job sent, one folder per job id. */
  readonly jobs: string;
  /** Hash caches of synced folders. */
  readonly sync: string;
  /** Node archives for machines without Node. */
  readonly cache: string;
  /** Sockets and known_hosts files of running commands. */
  readonly scratch: string;
  /** Sockets of links, in a folder that is looked at before each use. */
  readonly links: string;
  /** The generated SSH config, one `Host` block per machine. */
  readonly sshConfig: string;
}

export function homePaths(root: string): HomePaths {
  return {
    root,
    ledger: join(root, 'ledger.sqlite'),
    keys: join(root, 'keys'),
    local: join(root, 'local'),
    jobs: join(root, 'jobs'),
    sync: join(root, 'sync'),
    cache: join(root, 'cache'),
    scratch: join(root, 'scratch'),
    links: join(root, 'link'),
    sshConfig: join(root, 'ssh_config'),
  };
}

/** Makes the root, readable by its owner alone. @throws GpuRunError `bad-input` for a shared folder with other things in it */
export function prepareHome(paths: HomePaths): void {
  if (makeFolder(paths.root) || (statSync(paths.root).mode & 0o077) === 0) return;
  // Somebody else's folder, /tmp for example, must not be closed to everybody else.
  const ours = readdirSync(paths.root).length === 0 || existsSync(paths.ledger);
  if (!ours) {
    throw new GpuRunError('bad-input', `${paths.root} can't hold gpu-run's state: others may read it, and it has other things in it.`, {
      hints: ['Set GPU_RUN_HOME to a folder of its own.'],
    });
  }
  chmodSync(paths.root, 0o700);
}

/** True: it was not there. Node's own way with `recursive` never ends where a folder is there and refuses another as if it were not, as /proc does. */
function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EEXIST' && statSync(path).isDirectory()) return false;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || existsSync(parent)) throw error;
    makeFolder(parent);
  }
  return makeFolder(path);
}
