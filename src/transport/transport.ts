/**
 * How bytes get to a machine: one SSH connection with exec channels, files and forwards.
 * Interface only; may import core. Implementations: `ssh2.ts` (machines that we make) and `openssh.ts`
 * (the user's own hosts). `test/contract/transport.ts` holds every implementation to what stands here.
 */
import type { Duplex, Readable, Writable } from 'node:stream';
import type { GpuRunError } from '../core/errors.ts';
import type { Access } from '../core/machine.ts';

export interface ExecOptions {
  /** Ends the remote command's channel (and with it the local side) when aborted; `exit` then rejects with `interrupted`. */
  readonly signal?: AbortSignal;
}

/** How a command ended: exactly what the machine said. */
export interface ExitStatus {
  /** Exit code; 128+N where it died of signal N. */
  readonly code: number;
  /** `SIGTERM`, ... when it died of a signal; null when it exited. */
  readonly signal: string | null;
}

/** A running command. All three streams are binary-safe; stdout and stderr must be read (or resumed) for it to go on. */
export interface RemoteProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /**
   * Resolves after both output streams have ended, never rejects for a non-zero exit.
   * Rejects with GpuRunError `connection`, `host-key`, `not-allowed` or `interrupted` when no exit status came.
   */
  readonly exit: Promise<ExitStatus>;
  /** Sends the signal where the server supports it, and closes the channel in any case. */
  kill(signal?: 'SIGTERM' | 'SIGINT' | 'SIGKILL' | 'SIGHUP'): void;
}

/** The terminal in front of the user, for an interactive shell. */
export interface LocalTerminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** The value of TERM. */
  readonly term: string;
}

export interface Forward {
  /** The local port on 127.0.0.1. */
  readonly port: number;
  close(): Promise<void>;
}

/** The user's own `ssh`, for programs that bring bytes over it by themselves. */
export interface UsersSsh {
  /** Argument vector with all options, without the host. Goes over the connection that is there, and asks nobody anything. */
  readonly argv: readonly string[];
  /** As it is given to `ssh`. */
  readonly host: string;
  /** A subsystem of the server, such as `sftp`. Ends when the transport is closed. */
  subsystem(name: string): Duplex;
}

export interface Transport {
  /** Connects now instead of at the first use. Rejects like `exit`. Safe to call again. */
  connect(signal?: AbortSignal): Promise<void>;

  /**
   * Runs a command: an argument vector, never a shell string. The words reach the program unchanged, whatever they hold
   * (NUL excepted). Up to 32 KiB in all, quoted for a shell, reach any machine; `exit` rejects with `bad-input` where an
   * implementation can't send more. Works through any POSIX login shell. Connects again by itself when the last connection is known to be dead.
   */
  exec(argv: readonly string[], options?: ExecOptions): RemoteProcess;

  /** An interactive shell (no argv) or command on a pseudo-terminal; resolves when it ends. Raw mode is restored in any case. */
  terminal(argv: readonly string[] | null, terminal: LocalTerminal): Promise<ExitStatus>;

  /** Writes one file atomically (hidden name, then rename) with the given mode; creates parent folders (0700). `remotePath`: absolute, or relative to the home folder. */
  copyTo(content: Readable | Uint8Array, remotePath: string, options: { readonly mode: number; readonly signal?: AbortSignal }): Promise<void>;

  /** Reads one file. The stream fails with GpuRunError `not-found` or `file`-like `sync` when it can't be read. */
  copyFrom(remotePath: string, options?: { readonly signal?: AbortSignal }): Readable;

  /** Listens on 127.0.0.1:`localPort` (0: any free port) and connects each client to `remote` as seen from the machine. */
  forward(localPort: number, remote: { readonly host: string; readonly port: number }): Promise<Forward>;

  /** Connects, if need be. null, or absent: it isn't the system's `ssh` that makes the connection. */
  usersSsh?(signal: AbortSignal): Promise<UsersSsh | null>;

  /**
   * Where a runner of our version is known to stand and to run, as `runner/install.ts` finds it: through a link. Asked once the
   * connection stands. Absent or null: that has to be looked up.
   */
  standingRunner?(): { readonly argv: readonly string[]; readonly root: string } | null;

  /** Ends the connection and everything of this transport on this computer. Idempotent. */
  close(): Promise<void>;
}

/** What is needed to connect. */
export interface ConnectOptions {
  readonly access: Access;
  /** Path of our private key for `own` machines (OpenSSH format, no passphrase, mode 0600). */
  readonly identityFile: string | null;
  /** A private folder (0700) of ours, for sockets and known_hosts files; short enough for a unix socket's name below it. */
  readonly scratch: string;
  /** For `own` machines: the stream that SSH runs over, connected, instead of TCP to the access's host and port. Asked anew for each connection. */
  readonly dial?: (signal: AbortSignal) => Promise<Duplex>;
  /** Milliseconds for TCP, handshake and authentication together; default: `answersWithinMs`. */
  readonly timeoutMs?: number;
  /** Milliseconds between keepalives; the connection counts as dead after three unanswered; default 5,000. */
  readonly keepaliveMs?: number;
}

/** A host that has not let us in by then will not, milliseconds. */
export const answersWithinMs = 15_000;

/** Turns what SSH said into the right kind of error: the message names the host and what to do. */
export type Diagnose = (said: string, options: ConnectOptions) => GpuRunError;
