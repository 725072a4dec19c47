import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeBucket, startBucket } from '../../support/bucket.ts';
import { type FetchingMachine, makeFetchingMachine } from '../../support/fetching.ts';
import { startMetadataServer } from '../../support/metadata-server.ts';
import { sha256 } from '../../support/sha256.ts';
import { readTree } from '../../support/tree.ts';

let bucket: FakeBucket;
let machine: FetchingMachine;
beforeEach(async () => {
  bucket = await startBucket();
  machine = makeFetchingMachine({ env: { STORAGE_EMULATOR_HOST: bucket.url, METADATA_SERVER_DETECTION: 'none' } });
});
afterEach(async () => {
  machine.remove();
  await bucket[Symbol.asyncDispose]();
});

const below = () => readTree(join(machine.workdir, 'data', 'x'));

describe('gs://', () => {
  it('brings one object, and only asks for its generation the next time', async () => {
    bucket.put('sets/cats and dogs.tar', 'meow');
    const from = 'gs://pets/sets/cats and dogs.tar';
    expect(await machine.fetch([{ from }])).toMatchObject({ files: 1, bytes: 4, fetchedBytes: 4 });
    expect(readFileSync(join(machine.workdir, 'data/x'), 'utf8')).toBe('meow');
    bucket.asked.length = 0;
    expect((await machine.fetch([{ from }])).fetchedBytes).toBe(0);
    expect(bucket.asked).toHaveLength(1);
    bucket.put('sets/cats and dogs.tar', 'wuff');
    expect((await machine.fetch([{ from, sha256: sha256('wuff') }])).fetchedBytes).toBe(4);
  });

  it('brings all below a prefix, page by page, then what has changed and nothing else, and takes away what is gone there', async () => {
    for (const name of ['a', 'b', 'c/d', 'c/e', 'c/f/g', 'c/', 'other']) bucket.put(name === 'other' ? name : `sets/${name}`, name.endsWith('/') ? '' : name);
    expect(await machine.fetch([{ from: 'gs://pets/sets' }])).toMatchObject({ files: 5, fetchedBytes: 13, warnings: [] });
    const first = below();
    expect(first).toEqual({
      a: 'file 644 a',
      b: 'file 644 b',
      'c/': 'dir 755',
      'c/d': 'file 644 c/d',
      'c/e': 'file 644 c/e',
      'c/f/': 'dir 755',
      'c/f/g': 'file 644 c/f/g',
    });
    bucket.put('sets/b', 'new');
    bucket.objects.delete('sets/c/f/g');
    writeFileSync(join(machine.workdir, 'data/x/made'), 'here');
    expect(await machine.fetch([{ from: 'gs://pets/sets/' }])).toMatchObject({ files: 4, fetchedBytes: 3, warnings: [] });
    const { 'c/f/': _folder, 'c/f/g': _file, ...rest } = first;
    expect(below()).toEqual({ ...rest, b: 'file 644 new', made: 'file 644 here' });
  });

  it('checks every object by the sum that the bucket names', async () => {
    bucket.put('sets/a', 'meow');
    bucket.objects.set('sets/a', { bytes: Buffer.from('meow'), generation: '1', crc32c: 'AAAAAA==' });
    await expect(machine.fetch([{ from: 'gs://pets/sets/a' }])).rejects.toMatchObject({ code: 'sync', message: expect.stringContaining('arrived damaged') });
    expect(readTree(machine.workdir)).toEqual({});
  });

  it('takes no name for a path that leads elsewhere, and no object for a folder', async () => {
    for (const name of ['../evil', '/etc/evil', 'x//y', 'good', 'good/below', 'fine', '.gpu-run-tmp-1']) bucket.put(`sets/${name}`, name);
    const { warnings } = await machine.fetch([{ from: 'gs://pets/sets/' }]);
    expect(Object.keys(readTree(machine.workdir))).toEqual(['data/', 'data/x/', 'data/x/fine', 'data/x/good']);
    expect(warnings.map((text) => text.split(' in the bucket')[0])).toEqual(['"../evil"', '".gpu-run-tmp-1"', '"/etc/evil"', '"good/below"', '"x//y"']);
  });

  it('says that there is nothing, and that a sum is that of one file', async () => {
    await expect(machine.fetch([{ from: 'gs://pets/none' }])).rejects.toMatchObject({
      code: 'sync',
      message: expect.stringContaining('There is nothing at gs://pets/none'),
    });
    await expect(machine.fetch([{ from: 'gs://cats/none/' }])).rejects.toMatchObject({ message: expect.stringContaining('There is no bucket gs://cats') });
    bucket.put('sets/a', 'a');
    await expect(machine.fetch([{ from: 'gs://pets/sets', sha256: sha256('a') }])).rejects.toMatchObject({ code: 'bad-input' });
  });

  it('is read with the identity of the machine, on Compute Engine and nowhere else', async () => {
    bucket.put('sets/a', 'meow');
    bucket.token = 'ya29.secret';
    await expect(machine.fetch([{ from: 'gs://pets/sets/a' }])).rejects.toMatchObject({
      code: 'not-allowed',
      message: expect.stringContaining('no identity on Google Cloud'),
    });
    const token = { access_token: 'ya29.secret', expires_in: 3599, token_type: 'Bearer' };
    await using metadata = await startMetadataServer({ 'instance/service-accounts/default/token': JSON.stringify(token) });
    const there = makeFetchingMachine({ env: { STORAGE_EMULATOR_HOST: bucket.url, GCE_METADATA_HOST: metadata.host } });
    try {
      expect((await there.fetch([{ from: 'gs://pets/sets/a' }])).fetchedBytes).toBe(4);
      expect(metadata.asked).toHaveLength(1);
      bucket.token = 'ya29.of-somebody-else';
      const error = await there.fetch([{ from: 'gs://pets/sets/' }]).catch((thrown: Error) => thrown);
      expect(error).toMatchObject({ code: 'not-allowed', message: expect.stringContaining('roles/storage.objectViewer') });
      expect(String(error)).not.toContain('ya29');
    } finally {
      there.remove();
    }
  });

  it('leaves alone what a job has made below outputs', async () => {
    bucket.put('sets/a', 'a');
    bucket.put('sets/b', 'b');
    mkdirSync(join(machine.workdir, 'data/x'), { recursive: true });
    writeFileSync(join(machine.workdir, 'data/x/a'), 'mine');
    const { warnings } = await machine.fetch([{ from: 'gs://pets/sets/' }], { outputs: ['data'] });
    expect(warnings).toEqual(['data/x/a is an output and was made or changed on the machine; it was left as it is there']);
    expect(below()).toEqual({ a: 'file 644 mine', b: 'file 644 b' });
  });
});
