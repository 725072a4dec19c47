/** A client of SFTP over any byte stream: requests go out without waiting for the answers to those before. May import core. */
import type { Duplex } from 'node:stream';
import { GpuRunError } from '../core/errors.ts';
import { notSftp, PacketCutter, type PacketReader, type PacketType, type Part, packetTypes, type SftpAttrs, writePacket } from './sftp-packet.ts';

export interface SftpName extends SftpAttrs {
  /** As its bytes are. */
  readonly name: Buffer;
}

/** All reject with GpuRunError: `sync` with what the server says of the path, `disk-full`, `connection`, `protocol`. */
export interface SftpClient {
  /** Absolute, without links. */
  realpath(path: string): Promise<string>;
  /** null: nothing is there. Never follows a link. */
  lstat(path: string): Promise<SftpAttrs | null>;
  /** Without `.` and `..`. null: nothing is there, or no folder. */
  list(path: string): Promise<readonly SftpName[] | null>;
  mkdir(path: string, mode: number): Promise<void>;
  remove(path: string): Promise<void>;
  /** False: something is in it. */
  rmdir(path: string): Promise<boolean>;
  /** Replaces what is there, at once where the server can. */
  rename(from: string, to: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  setAttrs(path: string, attrs: { readonly mode?: number; readonly mtime?: number }): Promise<void>;
  /** Makes the file anew. `next`: the content, piece by piece; null: its end. */
  write(path: string, attrs: () => { readonly mode: number; readonly mtime: number }, next: () => Buffer | null): Promise<void>;
  /** In order, to the end of the file. `about`: bytes that it may have. False: nothing is there. */
  read(path: string, about: number, take: (bytes: Buffer) => void): Promise<boolean>;
  close(): void;
}

const statusOk = 0;
const statusEnd = 1;
const statusMissing = 2;
/** What every server takes in one request, and how many are on their way at once: 2 MiB, as much as SSH lets one channel have. */
const blockBytes = 32 * 1024;
const mostOnTheWay = 64;
const openFlags = { read: 1, writeNew: 2 | 8 | 16 } as const;
const notFolder = 4;

interface Answer {
  readonly type: number;
  readonly body: PacketReader;
}

/** @throws GpuRunError `protocol` when something else answers, `connection` when nothing does */
export async function openSftp(stream: Duplex): Promise<SftpClient> {
  const waiting = new Map<number, { readonly resolve: (answer: Answer) => void; readonly reject: (reason: Error) => void }>();
  const { promise: version, resolve: onVersion, reject: onNone } = Promise.withResolvers<PacketReader>();
  const cutter = new PacketCutter();
  let nextId = 0;
  let over: Error | null = null;
  const end = (reason: Error) => {
    over ??= reason;
    onNone(over);
    for (const { reject } of waiting.values()) reject(over);
    waiting.clear();
    stream.destroy();
  };
  stream.on('data', (bytes: Buffer) => {
    try {
      for (const { type, body } of cutter.add(bytes)) {
        if (type === packetTypes.version) onVersion(body);
        else {
          const id = body.uint32();
          const asked = waiting.get(id);
          if (asked === undefined) throw notSftp('an answer that nobody asked for');
          waiting.delete(id);
          asked.resolve({ type, body });
        }
      }
    } catch (error) {
      end(error instanceof Error ? error : new Error(String(error)));
    }
  });
  const broken = () => end(new GpuRunError('connection', 'The SFTP connection ended.', { retry: 'same' }));
  stream.on('close', broken).on('end', broken).on('error', broken);

  const ask = (type: PacketType, parts: readonly Part[]): Promise<Answer> => {
    if (over !== null) return Promise.reject(over);
    const id = nextId;
    nextId = (nextId + 1) % 2 ** 32;
    const answer = new Promise<Answer>((resolve, reject) => waiting.set(id, { resolve, reject }));
    answer.catch(() => {}); // whoever asked may have given up by another failure
    stream.write(writePacket(type, id, parts));
    return answer;
  };

  stream.write(writePacket('init', null, [3]));
  const extensions = readExtensions(await version);
  return createClient(ask, extensions.has('posix-rename@openssh.com'), () => end(new GpuRunError('connection', 'The SFTP connection was closed.')));
}

function readExtensions(body: PacketReader): ReadonlySet<string> {
  if (body.uint32() < 3) throw notSftp('its version is older than 3');
  const names = new Set<string>();
  for (; !body.atEnd; body.bytes()) names.add(body.bytes().toString('latin1'));
  return names;
}

type Ask = (type: PacketType, parts: readonly Part[]) => Promise<Answer>;

function createClient(ask: Ask, replaces: boolean, close: () => void): SftpClient {
  const act = async (type: PacketType, path: string, parts: readonly Part[] = [path]): Promise<void> => {
    const code = statusIn(await ask(type, parts));
    if (code.status !== statusOk) throw failed(path, code);
  };
  const open = async (type: 'open' | 'opendir', path: string, parts: readonly Part[]): Promise<Buffer | Status> => {
    const answer = await ask(type, [path, ...parts]);
    return answer.type === packetTypes.handle ? answer.body.bytes() : statusIn(answer);
  };
  const closeHandle = (handle: Buffer) => ask('close', [handle]);

  const rename: SftpClient['rename'] = async (from, to) => {
    if (replaces) return await act('extended', to, ['posix-rename@openssh.com', from, to]);
    await ask('remove', [to]);
    await act('rename', to, [from, to]);
  };

  return {
    close,
    rename,
    realpath: async (path) => firstName(await ask('realpath', [path]), path),
    lstat: async (path) => {
      const answer = await ask('lstat', [path]);
      if (answer.type === packetTypes.attrs) return answer.body.attrs();
      const code = statusIn(answer);
      if (code.status === statusMissing) return null;
      throw failed(path, code);
    },
    list: async (path) => {
      const handle = await open('opendir', path, []);
      if (!Buffer.isBuffer(handle)) {
        if (handle.status === statusMissing || handle.status === notFolder) return null;
        throw failed(path, handle);
      }
      const names: SftpName[] = [];
      for (;;) {
        const answer = await ask('readdir', [handle]);
        if (answer.type !== packetTypes.name) {
          const code = statusIn(answer);
          await closeHandle(handle);
          if (code.status !== statusEnd) throw failed(path, code);
          return names.filter(({ name }) => !isDots(name));
        }
        names.push(...namesIn(answer.body));
      }
    },
    mkdir: async (path, mode) => await act('mkdir', path, [path, { attrs: { mode } }]),
    remove: async (path) => await act('remove', path),
    rmdir: async (path) => statusIn(await ask('rmdir', [path])).status === statusOk,
    symlink: async (target, path) => await act('symlink', path, [target, path]), // in OpenSSH's order, which is not the draft's
    setAttrs: async (path, attrs) => await act('setstat', path, [path, { attrs }]),
    write: async (path, attrs, next) => {
      const handle = await open('open', path, [openFlags.writeNew, { attrs: { mode: 0o600 } }]);
      if (!Buffer.isBuffer(handle)) throw failed(path, handle);
      await writeAll(ask, handle, path, next);
      await act('fsetstat', path, [handle, { attrs: attrs() }]);
      await act('close', path, [handle]);
    },
    read: async (path, about, take) => {
      const handle = await open('open', path, [openFlags.read, { attrs: {} }]);
      if (!Buffer.isBuffer(handle)) {
        if (handle.status === statusMissing) return false;
        throw failed(path, handle);
      }
      await readAll(ask, handle, { path, about }, take);
      await closeHandle(handle);
      return true;
    },
  };
}

async function writeAll(ask: Ask, handle: Buffer, path: string, next: () => Buffer | null): Promise<void> {
  const onTheWay: Promise<Answer>[] = [];
  const settle = async () => {
    const code = statusIn(await (onTheWay.shift() as Promise<Answer>));
    if (code.status !== statusOk) throw failed(path, code);
  };
  let offset = 0;
  for (let piece = next(); piece !== null; piece = next()) {
    for (let at = 0; at < piece.length; at += blockBytes) {
      const block = piece.subarray(at, at + blockBytes);
      onTheWay.push(ask('write', [handle, { uint64: offset }, block]));
      offset += block.length;
      if (onTheWay.length >= mostOnTheWay) await settle();
    }
  }
  while (onTheWay.length > 0) await settle();
}

/** A server may answer with less than was asked for: the rest is asked for again, in its turn. */
async function readAll(
  ask: Ask,
  handle: Buffer,
  { path, about }: { readonly path: string; readonly about: number },
  take: (bytes: Buffer) => void,
): Promise<void> {
  const atOnce = Math.min(mostOnTheWay, Math.ceil(about / blockBytes) + 1);
  const request = (offset: number, length: number) => ({ offset, length, answer: ask('read', [handle, { uint64: offset }, length]) });
  let offset = 0;
  const onTheWay: ReturnType<typeof request>[] = [];
  for (;;) {
    while (onTheWay.length < atOnce) {
      onTheWay.push(request(offset, blockBytes));
      offset += blockBytes;
    }
    const first = onTheWay.shift();
    if (first === undefined) return;
    const answer = await first.answer;
    if (answer.type !== packetTypes.data) {
      const code = statusIn(answer);
      if (code.status !== statusEnd) throw failed(path, code);
      return;
    }
    const bytes = answer.body.bytes();
    if (bytes.length === 0 || bytes.length > first.length) throw notSftp('it sends what was not asked for');
    take(bytes);
    if (bytes.length < first.length) onTheWay.unshift(request(first.offset + bytes.length, first.length - bytes.length));
  }
}

interface Status {
  readonly status: number;
  readonly text: string;
}

function statusIn({ type, body }: Answer): Status {
  if (type !== packetTypes.status) throw notSftp('an answer of another kind');
  const status = body.uint32();
  return { status, text: body.atEnd ? '' : body.bytes().toString('utf8').slice(0, 200) };
}

function namesIn(body: PacketReader): SftpName[] {
  const names: SftpName[] = [];
  for (let left = body.uint32(); left > 0; left -= 1) {
    const name = body.bytes();
    body.bytes(); // the line of `ls -l`
    names.push({ name, ...body.attrs() });
  }
  return names;
}

function firstName(answer: Answer, path: string): string {
  const name = answer.type === packetTypes.name ? namesIn(answer.body)[0]?.name.toString('utf8') : undefined;
  if (name?.startsWith('/') !== true) throw notSftp(`it has no absolute path for '${path}'`);
  return name;
}

function isDots(name: Buffer): boolean {
  const text = name.toString('latin1');
  return text === '.' || text === '..';
}

/** OpenSSH says no more than `Failure` of most things, a full disk too. */
function failed(path: string, { status, text }: Status): GpuRunError {
  if (/no space|quota/i.test(text))
    return new GpuRunError('disk-full', `The machine's disk (or quota) became full while writing ${path}.`, { hints: ['Free space on the machine.'] });
  const why = text === '' ? `SFTP status ${status}` : text;
  return new GpuRunError('sync', `The machine can't work on ${path}: ${why}.`, { hints: ['Is its disk full, or the path not accessible? Then try again.'] });
}
