/** Records of content as a peer would write them, one at a time. */
import { mostHeadBytes, recordKinds, type Told, writeBare, writeCopy, writeEnd, writePlain, writeWhole } from '../../../src/protocol/content-records.ts';

function record(write: (to: Uint8Array) => number, bytes = ''): Buffer {
  const head = Buffer.alloc(mostHeadBytes);
  return Buffer.concat([head.subarray(0, write(head)), Buffer.from(bytes)]);
}

export const whole = (index: number, told: Told, bytes: string, announced: string | null = null): Buffer =>
  record((to) => writeWhole(to, 0, index, told, announced), bytes);
export const begin = (index: number): Buffer => record((to) => writePlain(to, 0, recordKinds.begin, index));
export const data = (bytes: string): Buffer => record((to) => writePlain(to, 0, recordKinds.data, bytes.length), bytes);
export const end = (told: Told, announced: string | null = null): Buffer => record((to) => writeEnd(to, 0, told, announced));
export const again = (): Buffer => record((to) => writeBare(to, 0, recordKinds.again));
export const same = (index: number): Buffer => record((to) => writePlain(to, 0, recordKinds.same, index));
export const chunk = (bytes: string): Buffer => record((to) => writePlain(to, 0, recordKinds.chunk, bytes.length), bytes);
export const copy = (first: number, count: number): Buffer => record((to) => writeCopy(to, 0, first, count));
export const keep = (): Buffer => record((to) => writeBare(to, 0, recordKinds.keep));
