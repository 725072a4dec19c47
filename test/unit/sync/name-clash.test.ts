import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refuseNameClashes, standIns } from '../../../src/sync/name-clash.ts';
import { readTree, temporaryFolder, writeTree } from '../../support/tree.ts';
import { type Lab, makeLab } from './joined.ts';

describe('names that differ in case', () => {
  let lab: Lab;
  beforeEach(() => {
    lab = makeLab('name-clash');
  });
  afterEach(() => lab.remove());

  const long = 'p'.repeat(60);
  const hangul = Array.from({ length: 28 }, (_, at) => String.fromCodePoint(0xac01 + 29 * at)).join('');
  it.each([
    ['in a folder above', ['runs/Model/x', 'runs/model/x']],
    ['after sixty letters', [`runs/${long}A`, `runs/${long}a`]],
    ['in a name as long as can be', [`${'x'.repeat(254)}A`, `${'x'.repeat(254)}a`]],
    ['and in how all of a long name is written', [hangul.normalize('NFC'), hangul.normalize('NFD')]],
    ['in two hundred letters', ['A'.repeat(200), 'a'.repeat(200)]],
  ])('%s are pulled where the file system tells them apart', async (_, paths) => {
    const folder = temporaryFolder('case');
    try {
      writeFileSync(join(folder.path, 'a'), '');
      if (existsSync(join(folder.path, 'A'))) return; // this computer's doesn't
    } finally {
      folder.remove();
    }
    writeTree(lab.machine.workdir, Object.fromEntries(paths.map((path) => [path, path])));
    expect((await lab.pull(['.'])).files).toHaveLength(2);
    expect(readTree(lab.source)).toEqual(readTree(lab.machine.workdir));
  });

  it('leave nothing behind that was only a question to the file system', () => {
    refuseNameClashes(['a/B', 'A/b', 'é', 'e\u0301'], lab.source, 'linux');
    expect(readTree(lab.source)).toEqual({});
  });
});

describe('what the file system is asked', () => {
  it.each([
    ['runs/Model/x', 'runs/model/X', ['M', 'm']],
    ['Checkpoint-É.bin', 'checkpoint-e\u0301.bin', ['CÉ', 'ce\u0301']],
    ['AAAA', 'aaaA', ['A', 'a']],
    [`${'x'.repeat(254)}A`, `${'x'.repeat(254)}a`, ['A', 'a']],
  ])('of %s and %s are the differing letters only, of the first part that differs', (one, other, asked) => {
    expect(standIns(one, other)).toEqual(asked);
  });
});
