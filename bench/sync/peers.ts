/** What people sync with today, all by the cipher that gpu-run asks for. */

import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Contender, runProgram, type Scene } from './contender.ts';

/** An open connection that `ssh` uses instead of one of its own (ControlMaster). */
export interface OpenConnection extends AsyncDisposable {
  readonly words: readonly string[];
}

export async function openMaster({ network, room, signal }: Pick<Scene, 'network' | 'room' | 'signal'>): Promise<OpenConnection> {
  const socket = join(room, 'master');
  const words = ['-o', `ControlPath=${socket}`];
  await runProgram(['ssh', '-F', network.peersConfig, ...words, '-o', 'ControlMaster=yes', '-o', 'ControlPersist=yes', 'lab', 'true'], { signal });
  return {
    words,
    [Symbol.asyncDispose]: async () =>
      void (await runProgram(['ssh', '-F', network.peersConfig, ...words, '-O', 'exit', 'lab'], { signal: never }).catch(() => {})),
  };
}

const never = new AbortController().signal;

export type PeerName = 'rsync' | 'rsync-z' | 'rsync-open' | 'rsync-z-open' | 'tar' | 'scp' | 'sftp';

/** Options that come behind -a. */
const packing = ['-z', '--zc=zstd'];

export function createPeer(name: PeerName, scene: Scene, master: OpenConnection): Contender {
  const { network, source, farRoom, signal } = scene;
  const place = join(farRoom, name);
  const config = ['-F', network.peersConfig];
  const rsync = (more: readonly string[], connection: readonly string[]) => {
    const shell = ['ssh', ...config, ...connection].join(' ');
    return ['rsync', '-a', ...more, '--delete', '-e', shell, `${source}/`, `lab:${place}/`];
  };
  const tar = ['sh', '-c', 'tar -C "$1" -cf - . | ssh -F "$2" lab "mkdir -p \'$3\' && tar -C \'$3\' -xpf -"', 'sh', source, network.peersConfig, place];
  const peers: Record<PeerName, { readonly title: string; readonly argv: readonly string[]; readonly input?: string }> = {
    rsync: { title: 'rsync -a', argv: rsync([], []) },
    'rsync-z': { title: 'rsync -az (zstd)', argv: rsync(packing, []) },
    'rsync-open': { title: 'rsync -a, ControlMaster', argv: rsync([], master.words) },
    'rsync-z-open': { title: 'rsync -az (zstd), ControlMaster', argv: rsync(packing, master.words) },
    tar: { title: 'tar over ssh', argv: tar },
    scp: { title: 'scp', argv: ['scp', '-q', '-r', '-p', ...config, source, `lab:${place}`] },
    sftp: { title: 'sftp', argv: ['sftp', '-q', ...config, '-b', '-', 'lab'], input: `put -pR ${source} ${place}\n` },
  };
  const { title, argv, input = '' } = peers[name];
  return {
    name: title,
    kind: name.startsWith('rsync') ? 'rsync' : 'peer',
    form: null,
    connects: !name.endsWith('-open'),
    clear: () => rm(place, { recursive: true, force: true }),
    prepare: async () => {
      mkdirSync(farRoom, { recursive: true });
      if (name === 'sftp') mkdirSync(place); // it wants a folder and puts ours into it; others want none
    },
    run: async () => void (await runProgram(argv, { signal, input })),
    place: () => (name === 'sftp' ? join(place, basename(source)) : place),
  };
}
