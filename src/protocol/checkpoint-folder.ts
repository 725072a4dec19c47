/** Where a job makes its checkpoints, and what there is none. Both ends have to agree on it. Imports nothing. */

/**
 * The first output that is named like a folder of checkpoints; else `checkpoints` in the first output that looks like
 * a folder, so that it is pulled back; else `checkpoints`. Relative to the workdir.
 */
export function checkpointFolder(outputs: readonly string[]): string {
  const folders = outputs.filter(looksLikeFolder);
  const named = folders.find((output) => /(checkpoint|ckpt)s?[^/]*\/?$/i.test(output));
  if (named !== undefined) return plain(named);
  const [folder] = folders;
  return folder === undefined ? 'checkpoints' : plain(`${folder}/checkpoints`);
}

/** A name that ends as files' names do (`best.ckpt`, `model.v2.pt`) is taken for a file; a version (`v1.0`) is no such end. */
export function looksLikeFolder(output: string): boolean {
  return output.endsWith('/') || !/\.[a-z_][^./]*$/i.test(output);
}

/** Without `.`, empty parts and a slash at the end. */
function plain(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

/** Being written: such names are given up for others once the content is whole. */
const unfinishedName = /^\.|^tmp([-_.]|$)|[-_.](tmp|part|partial|incomplete)([-_.]|$)|\.(new|old)$/i;
/** Grows all the time, and is no checkpoint. */
const logName = /^events\.out\.tfevents|\.(log|csv|jsonl)$/i;

/** Nobody looks at what lies in more folders than that, below a folder of checkpoints, to tell whether it is still being written. */
export const deepestCheckpoint = 8;

/** Of a name directly in a folder of checkpoints. */
export function isUnfinished(name: string): boolean {
  return unfinishedName.test(name);
}

/** Of a name anywhere in it. */
export function isLog(name: string): boolean {
  return logName.test(name);
}
