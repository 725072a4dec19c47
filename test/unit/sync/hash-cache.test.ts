import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openHashCache } from '../../../src/sync/hash-cache.ts';
import { temporaryFolder } from '../../support/tree.ts';

const hash = 'a'.repeat(64);
const second = 1_000_000_000n;
const ctime = 1_700_000_000n * second + 123_456_789n;
const stamp = `17:3:1:${ctime}`;

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder('cache');
});
afterEach(() => folder.remove());

function remember(readFromNs: bigint, withStamp = stamp): void {
  const cache = openHashCache(folder.path, '/source');
  cache.put('a', withStamp, hash, readFromNs);
  cache.save();
}

describe('openHashCache', () => {
  it('remembers a file that still looks the same', () => {
    remember(ctime + second);
    const cache = openHashCache(folder.path, '/source');
    expect(cache.get('a', stamp)).toBe(hash);
    expect(cache.get('a', stamp.replace('17:', '18:'))).toBeNull();
    expect(openHashCache(folder.path, '/other').get('a', stamp)).toBeNull();
  });

  it('does not trust a file that changed just before it was read', () => {
    remember(ctime + 50_000_000n);
    expect(openHashCache(folder.path, '/source').get('a', stamp)).toBeNull();
  });

  it('gives file systems that count whole seconds more time', () => {
    const coarse = `17:3:1:${1_700_000_000n * second}`;
    remember(1_700_000_001n * second, coarse);
    expect(openHashCache(folder.path, '/source').get('a', coarse)).toBeNull();
    remember(1_700_000_003n * second, coarse);
    expect(openHashCache(folder.path, '/source').get('a', coarse)).toBe(hash);
  });

  it('forgets files that nobody asked for', () => {
    remember(ctime + second);
    openHashCache(folder.path, '/source').save();
    expect(openHashCache(folder.path, '/source').get('a', stamp)).toBeNull();
  });

  it.each([
    '',
    '{',
    '{"version":1}',
    '{"version":1,"files":[["a",["x"]]]}',
    '{"version":1,"files":[["a",["s","not a hash"]]]}',
    '{"version":0,"files":[]}',
    'null',
  ])('takes a damaged file (%j) for no cache', (text) => {
    remember(ctime + second);
    for (const name of readdirSync(folder.path)) writeFileSync(join(folder.path, name), text);
    expect(openHashCache(folder.path, '/source').get('a', stamp)).toBeNull();
  });

  it('leaves one file a source and nothing unfinished', () => {
    remember(ctime + second);
    remember(ctime + 2n * second);
    expect(readdirSync(folder.path)).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.json$/)]);
  });
});
