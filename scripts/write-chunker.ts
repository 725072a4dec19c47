/**
 * Assembles the chunker (src/protocol/chunker.ts says what it does) to WebAssembly and writes it to src/protocol/chunker-wasm.ts: a few
 * hundred bytes. Run it by hand after a change: node scripts/write-chunker.ts. A test compares what it makes with what is there.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { earlyMask, lateMask, leastBytes, mostBytes, normalBytes, roomBytes } from '../src/protocol/chunker.ts';

/** Opcodes as in the WebAssembly core specification, section 5.4. */
const op = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  return: 0x0f,
  select: 0x1b,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  load: 0x28,
  load8: 0x2d,
  const: 0x41,
  eqz: 0x45,
  ltU: 0x49,
  gtU: 0x4b,
  geU: 0x4f,
  add: 0x6a,
  and: 0x71,
  shl: 0x74,
} as const;

const i32 = 0x7f;
const noResult = 0x40;

const [from, to, at, hash, end] = [0, 1, 2, 3, 4];

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  const byte = value & 0x7f;
  const rest = value >> 7;
  const isLast = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
  return isLast ? [byte] : [byte | 0x80, ...signed(rest)];
}

const number = (value: number) => [op.const, ...signed(value | 0)];
const get = (local: number) => [op.get, local];
const plus = (local: number, value: number) => [...get(local), ...number(value), op.add];
const section = (id: number, ...body: number[]) => [id, ...unsigned(body.length), ...body];
const name = (text: string) => [text.length, ...Buffer.from(text)];

/** hash = 2 * hash + gear[byte at + ahead]; returns at + ahead + 1 where its masked bits are 0. */
function step(ahead: number, mask: number): number[] {
  return [
    ...[...get(hash), ...number(1), op.shl],
    ...[...get(at), op.load8, 0, ...unsigned(ahead), ...number(2), op.shl, op.load, 2, 0, op.add],
    ...[op.tee, hash, ...number(mask), op.and, op.eqz],
    ...[op.if, noResult, ...plus(at, ahead + 1), op.return, op.end],
  ];
}

const together = 8;

/** From `at` up to the lesser of `to` and `from` + `limit`. */
function stretch(limit: number, mask: number): number[] {
  const steps = Array.from({ length: together }, (_, ahead) => step(ahead, mask)).flat();
  return [
    ...[...plus(from, limit), ...get(to), ...plus(from, limit), ...get(to), op.ltU, op.select, op.set, end],
    // Eight bytes at a time, as long as there are so many.
    ...[op.block, noResult, op.loop, noResult],
    ...[...plus(at, together), ...get(end), op.gtU, op.brIf, 1],
    ...[...steps, ...plus(at, together), op.set, at, op.br, 0, op.end, op.end],
    ...[op.block, noResult, op.loop, noResult],
    ...[...get(at), ...get(end), op.geU, op.brIf, 1],
    ...[...step(0, mask), ...plus(at, 1), op.set, at, op.br, 0, op.end, op.end],
  ];
}

export function assembleChunker(): Uint8Array {
  const code = [
    ...[1, 3, i32], // three more locals
    ...[...plus(from, leastBytes), op.set, at],
    ...stretch(normalBytes, earlyMask),
    ...stretch(mostBytes, lateMask),
    ...[...plus(from, mostBytes), ...number(0), ...get(to), ...plus(from, mostBytes), op.geU, op.select],
    op.end,
  ];
  const pages = 1 + roomBytes / (64 * 1024);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 1, 0x60, 2, i32, i32, 1, i32),
    ...section(3, 1, 0),
    ...section(5, 1, 1, ...unsigned(pages), ...unsigned(pages)),
    ...section(7, 2, ...name('memory'), 2, 0, ...name('cut'), 0, 0),
    ...section(10, 1, ...unsigned(code.length), ...code),
  ]);
}

/** The source file that holds it. */
export function chunkerSource(): string {
  return `/** Written by scripts/write-chunker.ts. */\nexport const chunkerWasm =\n  '${Buffer.from(assembleChunker()).toString('base64')}';\n`;
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, '..', 'src', 'protocol', 'chunker-wasm.ts'), chunkerSource());
