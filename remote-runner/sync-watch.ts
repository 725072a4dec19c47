/** Watching the machine's folders. May import protocol and `node:`. */
import { readFileSync, statfsSync, watch } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type StartWatch, WatchedFolders } from '../src/protocol/watched-folders.ts';

/**
 * File systems whose every change the kernel tells of (inotify(7)), as statfs(2) numbers them: ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs,
 * F2FS, ZFS, bcachefs. Others, above all those of a network, may be changed from elsewhere.
 */
const heardFileSystems: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e]);

/** inotify(7): what does not fit into a queue of so many is dropped, and libuv passes on no word of it. */
const usualQueue = 16_384;

/** Whether a tree is known as well as a walk would know it, once all that was heard is looked at. Elsewhere than on Linux a change may be told late, or never. */
export function hearsAll(folder: string): boolean {
  try {
    return process.platform === 'linux' && heardFileSystems.has(statfsSync(folder).type);
  } catch {
    return false;
  }
}

/** `absolute` as in `WatchedFoldersParts`. */
export function watchFolders(absolute: (folder: string) => string, onChange: () => void): WatchedFolders {
  let inTurn = false;
  const start: StartWatch = (path, onName, onLost) =>
    startWatch(
      path,
      (name) => {
        if (!inTurn) setImmediate(endTurn);
        inTurn = true;
        onName(name?.includes('\uFFFD') ? null : name);
      },
      onLost,
    );
  const folders = new WatchedFolders({ start, absolute, onChange, mostAtOnce: queueLength() / 4 });
  const endTurn = () => {
    inTurn = false;
    folders.endTurn();
  };
  return folders;
}

/** All that happened before this call has been heard of when it resolves: a whole turn of the event loop reads the queue to its end. */
export async function heardSoFar(): Promise<void> {
  await nextTurn();
  await nextTurn();
}

function queueLength(): number {
  try {
    const length = Number.parseInt(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'latin1'), 10);
    return length > 0 ? length : usualQueue;
  } catch {
    return usualQueue;
  }
}

const startWatch: StartWatch = (absolute, onName, onLost) => {
  try {
    const watcher = watch(absolute, { persistent: false }, (_event, name) => onName(name));
    watcher.on('error', () => {
      watcher.close();
      onLost();
    });
    return () => watcher.close();
  } catch {
    return null;
  }
};
