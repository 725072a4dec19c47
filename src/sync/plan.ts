/** Checks before anything is sent: that all could be read, and that sources don't get into each other's way. May import core, protocol and `node:`. */
import { posix } from 'node:path';
import { GpuRunError } from '../core/errors.ts';
import { type Entry, isWithin, pathProblem } from '../protocol/sync.ts';

/** @throws GpuRunError `sync` when there is any */
export function refuseUnreadable(paths: readonly string[]): void {
  if (paths.length === 0) return;
  const some = paths.slice(0, 5).join(', ');
  throw new GpuRunError(
    'sync',
    `${paths.length === 1 ? '1 path' : `${paths.length} paths`} can't be read, so nothing was sent: ${some}${paths.length > 5 ? ', ...' : ''}`,
    {
      hints: ['Make them readable (chmod u+r), or leave them out: add them to .gpurunignore or to `sync.exclude` in gpu-run.yaml.'],
    },
  );
}

/** `./data/pets/` as `data/pets`; `.` as the empty string, the workdir itself. @throws GpuRunError `bad-input` when it leads out of the workdir */
export function workdirPath(text: string, what: string): string {
  const normal = posix.normalize(text).replace(/\/+$/, '');
  const path = normal === '.' ? '' : normal;
  if (text === '' || posix.isAbsolute(text) || (path !== '' && pathProblem(path) !== null)) {
    throw new GpuRunError('bad-input', `${what} '${text}' isn't a path inside the workdir.`, {
      hints: ['Write it relative to the workdir, without .. and without a slash in front, as in data/pets.'],
    });
  }
  return path;
}

/** @throws GpuRunError `bad-input` when one target is, or lies in, another */
export function refuseNestedTargets(targets: readonly string[]): void {
  for (const [index, target] of targets.entries()) {
    if (target === '')
      throw new GpuRunError('bad-input', "Data can't be synced to the workdir itself: that is where the code goes.", {
        hints: ['Give it a folder of its own, as in to: data.'],
      });
    const other = targets.find((candidate, at) => at !== index && isWithin(candidate, target));
    if (other !== undefined)
      throw new GpuRunError('bad-input', `Two data targets overlap: '${target}' and '${other}'.`, {
        hints: ['Give each its own folder under `sync.data` in gpu-run.yaml.'],
      });
  }
}

/** @throws GpuRunError `bad-input` when code would land in a data target, or in its way */
export function refuseOverlap(entries: Iterable<Pick<Entry, 'path' | 'kind'>>, targets: readonly string[]): void {
  if (targets.length === 0) return;
  for (const { path, kind } of entries) {
    const target = targets.find((each) => isWithin(path, each) || (kind !== 'dir' && isWithin(each, path)));
    if (target === undefined) continue;
    throw new GpuRunError('bad-input', `The code has ${path} where the data target '${target}' belongs.`, {
      hints: [`Leave it out of the code: add /${path} to \`sync.exclude\` in gpu-run.yaml.`, 'Or choose another `to` for the data.'],
    });
  }
}
