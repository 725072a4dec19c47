/** The small parts of rsync and SFTP that need neither: what is written for them, and what they say. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import { loadPlainRecords, plainRecordFile, savePlainRecords } from '../../../src/sync/plain-record.ts';
import { changeLine, changeScript } from '../../../src/sync/plain-shell.ts';
import { parseListLine } from '../../../src/sync/rsync-list.ts';
import { isFitRsync, rshWord } from '../../../src/sync/rsync-run.ts';
import { PacketCutter, writePacket } from '../../../src/sync/sftp-packet.ts';
import { temporaryFolder } from '../../support/tree.ts';

const hostileName = fc
  .array(fc.constantFrom('a', '.', ' ', '\n', "'", '"', '\\', '$', '`', '*', '-', 'é', '%', '\\0', '~'), { minLength: 1, maxLength: 6 })
  .map((letters) => letters.join(''))
  .filter((name) => name !== '.' && name !== '..');

test('the shell script removes, moves and makes exactly what is named', () => {
  fc.assert(
    fc.property(fc.uniqueArray(hostileName, { minLength: 3, maxLength: 3 }), ([gone = '', moved = '', made = '']) => {
      const folder = temporaryFolder('plain-shell');
      try {
        const root = join(folder.path, 'it s root');
        mkdirSync(join(root, 'workdir'), { recursive: true });
        for (const name of [gone, moved, 'stays']) writeFileSync(join(root, 'workdir', name), name);
        const changes = [
          { op: 'remove', path: gone },
          { op: 'aside', path: moved },
          { op: 'mkdir', path: made },
          { op: 'rmdir', path: 'nowhere' },
        ] as const;
        execFileSync('sh', ['-c', changeScript, 'sh', root, join(root, 'kept')], { input: changes.map(changeLine).join('') });
        expect(readdirSync(join(root, 'workdir')).sort()).toEqual(['stays', made].sort());
        expect(readdirSync(join(root, 'kept'))).toEqual([moved]);
      } finally {
        folder.remove();
      }
    }),
    { numRuns: 8 },
  );
});

test('lines of a list', () => {
  const of = (line: string) => parseListLine(line);
  expect(of('-rw-r--r--             12 2026/11/22 00:36:30 a b')).toEqual({
    path: 'a b',
    seen: { kind: 'file', size: 12, mtime: Date.UTC(2026, 10, 22, 0, 36, 30) / 1000, executable: false },
  });
  expect(of('-rwxr-xr-x  1,234,567 2026/11/22 00:36:30 d/\\#303\\#251\\#012\\#134#012')).toMatchObject({
    path: 'd/é\n\\#012',
    seen: { size: 1_234_567, executable: true },
  });
  expect(of('lrwxrwxrwx              4 2026/11/22 00:36:30 a -> b')).toMatchObject({ path: 'a -> b', seen: { kind: 'link' } });
  expect(of('prw-r--r--              0 2026/11/22 00:36:30 pipe')).toMatchObject({ seen: { kind: 'other' } });
  const nothing = [
    'drwxr-xr-x 4,096 2026/11/22 00:36:30 .',
    'Welcome!',
    '-rw-r--r-- 1 2026/11/22 00:36:30 ../x',
    '-rw-r--r-- 1 2026/11/22 00:36:30 /x',
    '-rw-r--r-- 1 2026/11/22 00:36:30 \\#377',
  ];
  for (const line of nothing) expect([line, of(line)]).toEqual([line, null]);
});

test('only rsync from version 3 on will do', () => {
  expect(isFitRsync('rsync  version 3.2.7  protocol version 31\n')).toBe(true);
  for (const said of ['rsync  version 2.6.9  protocol version 29', 'openrsync: protocol version 29', ''])
    expect([said, isFitRsync(said)]).toEqual([said, false]);
});

test('a word for -e', () => {
  expect(rshWord(`UserKnownHostsFile="/it's here"`)).toBe(`'UserKnownHostsFile="/it''s here"'`);
});

test('records come back as they were; a damaged one is empty', () => {
  const folder = temporaryFolder('plain-record');
  try {
    const file = plainRecordFile(join(folder.path, 'sync'), 'host');
    expect(loadPlainRecords(file)).toEqual({});
    const records = { code: new Map([['a', [{ kind: 'file', size: 1, mtime: 2 }] as const]]), data: new Map() };
    savePlainRecords(file, records);
    expect(loadPlainRecords(file)).toEqual(records);
    writeFileSync(file, '{"version":1,"sources":[["code",');
    expect(loadPlainRecords(file)).toEqual({});
  } finally {
    folder.remove();
  }
});

test('packets come out as they were written, however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2 ** 31), fc.uint8Array({ maxLength: 50 })), { maxLength: 5 }), fc.integer({ min: 1, max: 20 }), (sent, step) => {
      const bytes = Buffer.concat(sent.map(([id, data]) => writePacket('write', id, [data, { uint64: 2 ** 40 + 1 }, { attrs: { mode: 0o600, mtime: 7 } }])));
      const cutter = new PacketCutter();
      const got: unknown[] = [];
      for (let at = 0; at < bytes.length; at += step) {
        for (const { body } of cutter.add(bytes.subarray(at, at + step))) got.push([body.uint32(), body.bytes(), body.uint64(), body.attrs(), body.atEnd]);
      }
      expect(got).toEqual(sent.map(([id, data]) => [id, Buffer.from(data), 2 ** 40 + 1, { size: 0, mode: 0o600, mtime: 7 }, true]));
    }),
  );
});

test('whatever a server sends, it is a packet or an error that says so', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 5, maxLength: 80 }), fc.boolean(), (bytes, plausible) => {
      const given = Buffer.from(bytes);
      if (plausible) given.writeUInt32BE(given.length - 4);
      try {
        for (const { body } of new PacketCutter().add(given)) {
          body.uint32();
          body.attrs();
          while (!body.atEnd) body.bytes();
        }
      } catch (error) {
        expect(error).toBeInstanceOf(GpuRunError);
        expect(error).toMatchObject({ code: 'protocol' });
      }
    }),
  );
});
