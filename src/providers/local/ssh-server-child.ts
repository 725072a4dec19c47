/** What the SSH server's commands run as, and what it holds of one that runs. */
import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

export interface CommandHome {
  readonly home: string;
  readonly shell: string;
  /** The whole environment of a command. */
  readonly env: Readonly<Record<string, string>>;
}

export type PipedChild = ChildProcess & { readonly stdin: Writable; readonly stdout: Readable; readonly stderr: Readable };
