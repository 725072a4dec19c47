/**
 * A machine where no runner can live, so that nobody there knows what earlier pushes placed: what rsync or SFTP can do with its workdir.
 * Interface only; may import core and protocol.
 */
import type { Found } from './scan.ts';

/** What lies there, as far as it can be told without reading it. */
export interface PlainSeen {
  readonly kind: 'file' | 'dir' | 'link' | 'other';
  readonly size: number;
  /** Whole seconds since the epoch. */
  readonly mtime: number;
  /** Its owner may run it. */
  readonly executable: boolean;
}

/** `aside`: moved to the folder for such things. `rmdir`: only when nothing is in it. Paths are relative to the workdir. */
export interface PlainChange {
  readonly op: 'aside' | 'remove' | 'rmdir' | 'mkdir';
  readonly path: string;
}

export interface PlainSource {
  /** Absolute: a folder, or a single file. */
  readonly from: string;
  /** Relative to the workdir. */
  readonly to: string;
}

export interface PlainSent {
  readonly bytes: number;
  /** Changed all the time while they were sent, and such that vanished. Relative to the workdir. */
  readonly torn: readonly string[];
  readonly gone: readonly string[];
}

export interface PlainOptions {
  readonly signal: AbortSignal;
  /** Bytes of content. */
  readonly onBytes: (bytes: number) => void;
}

/** All reject with GpuRunError: `sync`, `disk-full`, `connection`, `protocol`, `interrupted`. */
export interface PlainPeer {
  readonly method: 'rsync' | 'sftp';
  /** Absolute, on the machine. */
  readonly workdir: string;
  /** Everything in the workdir, by paths that are checked; never behind a link. Makes the workdir. */
  list(signal: AbortSignal): Promise<ReadonlyMap<string, PlainSeen>>;
  /** In order. `aside`: absolute, on the machine; made when it is needed. */
  change(changes: readonly PlainChange[], aside: string, signal: AbortSignal): Promise<void>;
  /** Each file whole or not at all. Parents are there, or come first. */
  send(source: PlainSource, entries: readonly Found[], options: PlainOptions): Promise<PlainSent>;
  /** Regular files of the workdir. `take` is given the content in order, then null. */
  fetch(
    files: readonly { readonly path: string; readonly size: number }[],
    take: (path: string, bytes: Buffer | null) => void,
    signal: AbortSignal,
  ): Promise<void>;
  close(): void;
}
