/** The SFTP subsystem of the `local` SSH server: version 3, as scp, sftp, rsync-like tools and editors use it. */
import { constants, type Dirent, type Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { resolve } from 'node:path';
import ssh2, { type Attributes, type InputAttributes, type SFTPWrapper } from 'ssh2';

const { STATUS_CODE: status, OPEN_MODE: mode } = ssh2.utils.sftp;

type Handle = { readonly kind: 'file'; readonly file: fs.FileHandle } | { readonly kind: 'folder'; readonly path: string; readonly unread: Dirent[] };

/** What a request throws to answer with a status of its own. */
class SftpStatus extends Error {
  readonly status: number;
  constructor(code: number, message: string) {
    super(message);
    this.status = code;
  }
}

export function serveSftp(sftp: SFTPWrapper, home: string): void {
  const handles = new Map<number, Handle>();
  let nextHandle = 0;
  let turn: Promise<void> = Promise.resolve();

  /** Requests are carried out in the order in which they came. */
  const inTurn = (id: number, request: () => Promise<void>) => {
    turn = turn.then(request).catch((error: unknown) => sftp.status(id, statusOf(error), error instanceof Error ? error.message : String(error)));
  };
  const done = (id: number) => sftp.status(id, status.OK);
  const at = (path: string) => resolve(home, path);
  const keep = (id: number, handle: Handle) => {
    const key = Buffer.alloc(4);
    key.writeUInt32BE(nextHandle);
    handles.set(nextHandle++, handle);
    sftp.handle(id, key);
  };
  const find = (key: Buffer): Handle => {
    const handle = key.length === 4 ? handles.get(key.readUInt32BE(0)) : undefined;
    if (handle === undefined) throw new SftpStatus(status.FAILURE, 'no such handle');
    return handle;
  };
  const file = (key: Buffer): fs.FileHandle => {
    const handle = find(key);
    if (handle.kind !== 'file') throw new SftpStatus(status.FAILURE, 'not a file');
    return handle.file;
  };

  sftp.on('OPEN', (id, path, flags, attributes) =>
    inTurn(id, async () => keep(id, { kind: 'file', file: await fs.open(at(path), openFlags(flags), (attributes.mode ?? 0o666) & 0o7777) })),
  );
  sftp.on('READ', (id, key, offset, length) =>
    inTurn(id, async () => {
      const { bytesRead, buffer } = await file(key).read(Buffer.allocUnsafe(Math.min(length, 256 * 1024)), 0, undefined, offset);
      if (bytesRead === 0) throw new SftpStatus(status.EOF, 'end of file');
      sftp.data(id, buffer.subarray(0, bytesRead));
    }),
  );
  sftp.on('WRITE', (id, key, offset, data) =>
    inTurn(id, async () => {
      for (let sent = 0; sent < data.length; ) sent += (await file(key).write(data, sent, data.length - sent, offset + sent)).bytesWritten;
      done(id);
    }),
  );
  sftp.on('CLOSE', (id, key) =>
    inTurn(id, async () => {
      const handle = find(key);
      handles.delete(key.readUInt32BE(0));
      if (handle.kind === 'file') await handle.file.close();
      done(id);
    }),
  );
  sftp.on('FSTAT', (id, key) => inTurn(id, async () => sftp.attrs(id, toAttributes(await file(key).stat()))));
  sftp.on('STAT', (id, path) => inTurn(id, async () => sftp.attrs(id, toAttributes(await fs.stat(at(path))))));
  sftp.on('LSTAT', (id, path) => inTurn(id, async () => sftp.attrs(id, toAttributes(await fs.lstat(at(path))))));
  sftp.on('SETSTAT', (id, path, wanted) =>
    inTurn(id, async () => {
      if (wanted.size !== undefined) await fs.truncate(at(path), wanted.size);
      if (wanted.mode !== undefined) await fs.chmod(at(path), wanted.mode & 0o7777);
      if (wanted.atime !== undefined && wanted.mtime !== undefined) await fs.utimes(at(path), wanted.atime, wanted.mtime);
      done(id);
    }),
  );
  sftp.on('FSETSTAT', (id, key, wanted) =>
    inTurn(id, async () => {
      if (wanted.size !== undefined) await file(key).truncate(wanted.size);
      if (wanted.mode !== undefined) await file(key).chmod(wanted.mode & 0o7777);
      if (wanted.atime !== undefined && wanted.mtime !== undefined) await file(key).utimes(wanted.atime, wanted.mtime);
      done(id);
    }),
  );
  sftp.on('OPENDIR', (id, path) =>
    inTurn(id, async () => keep(id, { kind: 'folder', path: at(path), unread: await fs.readdir(at(path), { withFileTypes: true }) })),
  );
  sftp.on('READDIR', (id, key) =>
    inTurn(id, async () => {
      const handle = find(key);
      if (handle.kind !== 'folder') throw new SftpStatus(status.FAILURE, 'not a folder');
      const entries = handle.unread.splice(0, 100);
      if (entries.length === 0) throw new SftpStatus(status.EOF, 'end of folder');
      const listed = await Promise.all(
        entries.map(async (entry) => ({ name: entry.name, stats: await fs.lstat(resolve(handle.path, entry.name)).catch(() => null) })),
      );
      const present = listed.filter((entry) => entry.stats !== null); // others vanished since
      sftp.name(
        id,
        present.map(({ name, stats }) => ({ filename: name, longname: name, attrs: toAttributes(stats as Stats) })),
      );
    }),
  );
  sftp.on('REALPATH', (id, path) => inTurn(id, async () => sftp.name(id, [nameOnly(await fs.realpath(at(path)).catch(() => at(path)))])));
  sftp.on('READLINK', (id, path) => inTurn(id, async () => sftp.name(id, [nameOnly(await fs.readlink(at(path)))])));
  sftp.on('SYMLINK', (id, link, target) => inTurn(id, async () => fs.symlink(target, at(link)).then(() => done(id))));
  sftp.on('MKDIR', (id, path, attributes) => inTurn(id, async () => fs.mkdir(at(path), { mode: (attributes.mode ?? 0o777) & 0o7777 }).then(() => done(id))));
  sftp.on('RMDIR', (id, path) => inTurn(id, async () => fs.rmdir(at(path)).then(() => done(id))));
  sftp.on('REMOVE', (id, path) => inTurn(id, async () => fs.unlink(at(path)).then(() => done(id))));
  sftp.on('RENAME', (id, from, to) =>
    inTurn(id, async () => {
      const taken = await fs.lstat(at(to)).catch(() => null);
      if (taken !== null) throw new SftpStatus(status.FAILURE, 'the new name is taken'); // version 3 never replaces
      await fs.rename(at(from), at(to));
      done(id);
    }),
  );

  const closeAll = () => {
    for (const handle of handles.values()) if (handle.kind === 'file') void handle.file.close().catch(() => {});
    handles.clear();
  };
  sftp.once('end', () => {
    void turn.then(() => {
      closeAll();
      endWell(sftp);
    });
  });
  sftp.once('close', () => void turn.then(closeAll));
  sftp.on('error', () => sftp.end());
}

/** scp takes the end without an exit status for a failure; the library has no call for it on this kind of channel. */
function endWell(sftp: SFTPWrapper): void {
  const channel = sftp as unknown as { outgoing: { id: number; state: string }; _protocol: { exitStatus(channel: number, code: number): void } };
  if (channel.outgoing.state === 'open') channel._protocol.exitStatus(channel.outgoing.id, 0);
  sftp.end();
}

function openFlags(flags: number): number {
  const read = (flags & mode.READ) !== 0;
  const write = (flags & mode.WRITE) !== 0;
  let result = read && write ? constants.O_RDWR : write ? constants.O_WRONLY : constants.O_RDONLY;
  if (flags & mode.APPEND) result |= constants.O_APPEND;
  if (flags & mode.CREAT) result |= constants.O_CREAT;
  if (flags & mode.TRUNC) result |= constants.O_TRUNC;
  if (flags & mode.EXCL) result |= constants.O_EXCL;
  return result;
}

function toAttributes(stats: Stats): Attributes {
  const { mode: type, uid, gid, size } = stats;
  return { mode: type, uid, gid, size, atime: Math.floor(stats.atimeMs / 1000), mtime: Math.floor(stats.mtimeMs / 1000) };
}

function nameOnly(filename: string): { filename: string; longname: string; attrs: Attributes } {
  return { filename, longname: filename, attrs: {} as Attributes & InputAttributes };
}

function statusOf(error: unknown): number {
  if (error instanceof SftpStatus) return error.status;
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'ENOENT') return status.NO_SUCH_FILE;
  return code === 'EACCES' || code === 'EPERM' ? status.PERMISSION_DENIED : status.FAILURE;
}
