/** One item of `sync.data`: a folder or file of this computer, or an address from which the machine fetches by itself. Imports zod, as schema does. */
import { GpuRunError } from '../core/errors.ts';
import { addressProblem, isAddress, shownUrl } from '../protocol/fetch.ts';
import { block, existingPath, optional, type PathBase, parsed } from './field.ts';
import { insidePath } from './inside-path.ts';

export function dataset(base: PathBase | null) {
  const shape = {
    from: source(base).meta({
      description:
        'A file or folder on this computer, or an address that the machine fetches from by itself: https://..., gs://BUCKET/OBJECT, or gs://BUCKET/PREFIX/ for all below it.',
    }),
    to: workdirPath('data/pets').meta({ description: 'Where it goes, relative to the workdir.' }),
    sha256: optional(
      parsed('a SHA-256', '9f86d081884c7d65..., which sha256sum prints', checkSha256),
      'Of the file that is fetched: another one is refused, and the right one is never fetched, nor asked for, again.',
    ),
  };
  return block(shape, '{ from: ../pets, to: data/pets }').check(({ value, issues }) => {
    if (value.sha256 === undefined || (isAddress(value.from) && !value.from.endsWith('/'))) return;
    const what = isAddress(value.from) ? 'a folder, whose files are checked one by one' : 'on this computer, and is always checked on its way';
    issues.push({ code: 'custom', message: `it belongs to one file that is fetched; this is ${what}. Leave it out.`, path: ['sha256'], input: value });
  });
}

function source(base: PathBase | null) {
  const onDisk = existingPath('file or folder', '../pets', base);
  return parsed('the path of a file or folder, or an address', '../pets, or https://example.org/pets.tar', (value) => {
    if (isAddress(value)) return checkAddress(value);
    const { data, error } = onDisk.safeParse(value);
    if (error !== undefined) throw new GpuRunError('bad-input', error.issues[0]?.message ?? 'expected a path.');
    return data;
  });
}

function checkAddress(value: string): string {
  const problem = addressProblem(value);
  if (problem !== null) throw new GpuRunError('bad-input', `data can't be fetched from ${shownUrl(value)}: ${problem}.`);
  return value;
}

function checkSha256(text: string): string {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new GpuRunError('bad-input', 'a SHA-256 is 64 hex digits, as sha256sum prints them.');
  return text.toLowerCase();
}

export function workdirPath(example: string) {
  return parsed('a path below the workdir', example, insidePath);
}
