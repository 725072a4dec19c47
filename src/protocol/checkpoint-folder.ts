/** Where a job makes its checkpoints, where nobody has said it. Both ends have to agree on it. Imports nothing. */

/**
 * The first output that is named like a folder of checkpoints; else `checkpoints` in the first output that looks like
 * a folder, so that it is pulled back; else `checkpoints`. Relative to the workdir.
 */
export function checkpointFolder(outputs: readonly string[]): string {
  const named = outputs.find((output) => /(checkpoint|ckpt)s?[^/]*\/?$/i.test(output));
  if (named !== undefined) return plain(named);
  const folder = outputs.find((output) => output.endsWith('/') || !/\.[^./]+$/.test(output));
  return folder === undefined ? 'checkpoints' : plain(`${folder}/checkpoints`);
}

/** Without `.`, empty parts and a slash at the end. */
function plain(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}
