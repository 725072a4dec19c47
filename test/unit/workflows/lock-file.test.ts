/** Locks between processes that know of each other by a folder alone. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isLocked, takeLock, waitForLock } from '../../../src/workflows/lock-file.ts';
import { createFakeContext } from './fake-context.ts';

test('one at a time; where none can be made that is said at once', () => {
  using fake = createFakeContext(() => ({}));
  const { self } = fake.context;
  const folder = mkdtempSync(join(tmpdir(), 'lock-'));
  const held = waitForLock(folder, 'a.lock', self);
  expect([isLocked(folder, 'a.lock'), takeLock(folder, 'a.lock', self)]).toEqual([true, null]);
  held[Symbol.dispose]();
  expect(isLocked(folder, 'a.lock')).toBe(false);
  const noFolder = join(folder, 'file');
  writeFileSync(noFolder, '');
  expect(() => waitForLock(noFolder, 'a.lock', self)).toThrow(
    expect.objectContaining({ code: 'conflict', message: `${join(noFolder, 'a.lock')} can't be made.` }),
  );
});
