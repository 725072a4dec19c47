/**
 * Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), as OpenSSH's server speaks it: written, cut out of a stream, and read with
 * every length checked, for they come from a machine. May import core.
 */
import { GpuRunError } from '../core/errors.ts';

export const packetTypes = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  rename: 18,
  readlink: 19,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 200,
} as const;

export type PacketType = keyof typeof packetTypes;

export interface Packet {
  readonly type: number;
  readonly body: PacketReader;
}

/** What is known of a file. */
export interface SftpAttrs {
  readonly size: number;
  /** With the bits of the file's type; null: not said. */
  readonly mode: number | null;
  /** Whole seconds since the epoch. */
  readonly mtime: number;
}

/** Bytes of one packet from the machine: OpenSSH sends none of more than 256 KiB. */
const longestPacket = 1024 * 1024;

const flags = { size: 1, owner: 2, permissions: 4, times: 8, extended: 0x80000000 } as const;

export type Part = number | string | Uint8Array | { readonly uint64: number } | { readonly attrs: { readonly mode?: number; readonly mtime?: number } };

/** Numbers as 32 bits, texts and bytes with their length in front. `id`: null for `init`. */
export function writePacket(type: PacketType, id: number | null, parts: readonly Part[]): Buffer {
  const pieces = [Buffer.from([packetTypes[type]]), ...(id === null ? [] : [uint32(id)]), ...parts.flatMap(writePart)];
  return Buffer.concat([uint32(pieces.reduce((sum, { length }) => sum + length, 0)), ...pieces]);
}

function writePart(part: Part): Buffer[] {
  if (typeof part === 'number') return [uint32(part)];
  if (typeof part === 'string') return writePart(Buffer.from(part, 'utf8'));
  if (part instanceof Uint8Array) return [uint32(part.length), Buffer.from(part.buffer, part.byteOffset, part.byteLength)];
  if ('uint64' in part) return [uint32(Math.floor(part.uint64 / 2 ** 32)), uint32(part.uint64 % 2 ** 32)];
  const { mode, mtime } = part.attrs;
  const said = (mode === undefined ? 0 : flags.permissions) | (mtime === undefined ? 0 : flags.times);
  return [uint32(said), ...(mode === undefined ? [] : [uint32(mode)]), ...(mtime === undefined ? [] : [uint32(mtime), uint32(mtime)])];
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Cuts packets out of a stream, however its bytes come. @throws GpuRunError `protocol` */
export class PacketCutter {
  #held: Buffer[] = [];
  #length = 0;

  *add(bytes: Buffer): Generator<Packet> {
    this.#held.push(bytes);
    this.#length += bytes.length;
    while (this.#length >= 4) {
      const all = this.#held.length === 1 ? (this.#held[0] ?? bytes) : Buffer.concat(this.#held);
      this.#held = [all];
      const length = all.readUInt32BE(0);
      if (length < 1 || length > longestPacket) throw notSftp(`a packet of ${length} bytes`);
      if (all.length < 4 + length) return;
      const rest = all.subarray(4 + length);
      this.#held = [rest];
      this.#length = rest.length;
      yield { type: all[4] ?? 0, body: new PacketReader(all.subarray(5, 4 + length)) };
    }
  }
}

/** Reads one packet's body from its start. All methods throw GpuRunError `protocol` behind its end. */
export class PacketReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  uint32(): number {
    return this.#take(4).readUInt32BE(0);
  }

  uint64(): number {
    const value = this.uint32() * 2 ** 32 + this.uint32();
    if (!Number.isSafeInteger(value)) throw notSftp('a number without end');
    return value;
  }

  bytes(): Buffer {
    return this.#take(this.uint32());
  }

  attrs(): SftpAttrs {
    const said = this.uint32();
    const has = (flag: number) => (said & flag) !== 0;
    const size = has(flags.size) ? this.uint64() : 0;
    if (has(flags.owner)) this.#take(8);
    const mode = has(flags.permissions) ? this.uint32() : null;
    if (has(flags.times)) this.#take(4);
    const mtime = has(flags.times) ? this.uint32() : 0;
    for (let left = has(flags.extended) ? 2 * this.uint32() : 0; left > 0; left -= 1) this.bytes();
    return { size, mode, mtime };
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw notSftp('a packet that ends too soon');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

export function notSftp(what: string): GpuRunError {
  return new GpuRunError('protocol', `The machine's SFTP server does not speak as agreed: ${what}.`, {
    hints: ['A shell start-up file on the machine that prints something can be the reason.'],
  });
}
