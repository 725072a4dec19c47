import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planLog, readLog, writeLog } from '../../../src/protocol/folder-log.ts';

type Folders = ReadonlyMap<string, Uint8Array>;

const path = fc.constantFrom('', 'a', 'a/b', 'ü', 'long/er');
const folders: fc.Arbitrary<Folders> = fc
  .dictionary(path, fc.uint8Array({ minLength: 1, maxLength: 40 }), { noNullPrototype: true })
  .map((made) => new Map(Object.entries(made)));

/** As the two ends keep it: what is written behind what counts. */
function save(file: Uint8Array, to: Folders, about: unknown): Uint8Array {
  const before = readLog(file, crc32);
  const { anew, changes } = planLog(before, to);
  return Buffer.concat([...(anew ? [] : [file.subarray(0, before.soundBytes)]), ...writeLog(changes, about, anew, crc32)]);
}

const plain = (map: Folders) => Object.fromEntries([...map].map(([name, bytes]) => [name, Buffer.from(bytes).toString('hex')]));

describe('a file of folders', () => {
  it('holds what was saved last, after any number of changes', () => {
    fc.assert(
      fc.property(fc.array(folders, { minLength: 1, maxLength: 6 }), (states) => {
        let file: Uint8Array = new Uint8Array(0);
        for (const [at, state] of states.entries()) {
          file = save(file, state, { at });
          const read = readLog(file, crc32);
          expect(plain(read.folders)).toEqual(plain(state));
          expect(read).toMatchObject({ about: { at }, soundBytes: file.length });
        }
      }),
    );
  });

  it('cut anywhere, or with a wrong byte, holds one of the states before, whole', () => {
    fc.assert(
      fc.property(folders, folders, fc.nat(), fc.boolean(), (first, second, place, isCut) => {
        const start = save(new Uint8Array(0), first, 1);
        const whole = save(start, second, 2);
        const at = place % whole.length;
        const damaged = Uint8Array.from(isCut ? whole.subarray(0, at) : whole);
        if (!isCut) damaged[at] = (damaged[at] ?? 0) ^ 0x55;
        const read = readLog(damaged, crc32);
        const states = [{}, plain(first), plain(second)];
        expect(states).toContainEqual(plain(read.folders));
        expect(plain(read.folders)).toEqual(states[read.about === 2 ? 2 : read.about === 1 ? 1 : 0]);
        expect(plain(readLog(save(damaged, first, 3), crc32).folders)).toEqual(plain(first));
      }),
    );
  });

  it('does not grow without end', () => {
    const big = new Uint8Array(300_000);
    let file: Uint8Array = new Uint8Array(0);
    for (let round = 0; round < 40; round += 1) file = save(file, new Map([['a', big.fill(round).slice()]]), round);
    expect(file.length).toBeLessThan(2_000_000);
  });

  it('of another kind holds nothing', () => {
    expect(readLog(Buffer.from('{"version":1}'), crc32)).toMatchObject({ about: null, soundBytes: 0 });
  });
});
