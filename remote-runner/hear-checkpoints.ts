/** Hears of what changes where checkpoints are made: in a folder that may be yet to come, and in the folders directly in it. */
import { type FSWatcher, lstatSync, readdirSync, watch } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { isLog, isUnfinished } from '../src/protocol/checkpoint-folder.ts';
import { temporaryPrefix } from '../src/protocol/sync.ts';

/** Of more folders the oldest are not listened to: nobody goes back to them. */
const mostFolders = 32;

/** From the workdir down to `folder`, as far as it is there. `onChange` may be called more than once. Empty where the system can't. */
export function hearCheckpoints(workdir: string, folder: string, onChange: () => void): FSWatcher[] {
  const heard: FSWatcher[] = [];
  const listen = (path: string, isNews: (name: string) => boolean) => {
    const watcher = watchFolder(path, (name) => {
      if (name === null || isNews(name)) onChange();
    });
    if (watcher !== null) heard.push(watcher);
    return watcher !== null;
  };
  let path = workdir;
  // From above: a folder that is made while we are at it is heard of by the one around it.
  for (const next of relative(workdir, folder).split(sep)) {
    if (next === '') continue;
    if (!listen(path, (name) => name === next)) return heard;
    path = join(path, next);
  }
  if (!listen(path, (name) => !isNone(name) && !isUnfinished(name))) return heard;
  for (const below of newestFolders(path)) listen(below, (name) => !isNone(name));
  return heard;
}

/** As whoever looks at them has it. */
function isNone(name: string): boolean {
  return isLog(name) || name.startsWith(temporaryPrefix);
}

function newestFolders(folder: string): string[] {
  try {
    const folders = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory() && !isNone(entry.name) && !isUnfinished(entry.name));
    const times = folders.map(({ name }) => ({ path: join(folder, name), at: lstatSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }));
    return times
      .toSorted((one, other) => other.at - one.at)
      .slice(0, mostFolders)
      .map(({ path }) => path);
  } catch {
    return []; // not there any more, or not ours to read
  }
}

/** null where the system can't. */
function watchFolder(path: string, onName: (name: string | null) => void): FSWatcher | null {
  try {
    return watch(path, { persistent: false }, (_, name) => onName(name)).on('error', () => {});
  } catch {
    return null;
  }
}
