/** Where gpu-run keeps its state on this computer, and nowhere else. */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

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
    sshConfig: join(root, 'ssh_config'),
  };
}

/** Makes the root readable by its owner alone. */
export function prepareHome(paths: HomePaths): void {
  mkdirSync(paths.root, { recursive: true, mode: 0o700 });
  chmodSync(paths.root, 0o700);
}
