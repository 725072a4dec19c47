/** What an SSH implementation has to offer; `lazy-transport.ts` makes a whole `Transport` of it. Interface only; may import core and `transport.ts`. */
import type { Duplex, Readable, Writable } from 'node:stream';
import type { ExitStatus, LocalTerminal, UsersSsh } from './transport.ts';

/** A command that has been started. Streams and `exit` end in any case when the connection does. */
export interface StartedCommand {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when nothing more comes; rejects with GpuRunError when no exit status came. */
  readonly exit: Promise<ExitStatus>;
  kill(signal: NodeJS.Signals): void;
}

export interface RemoteAddress {
  readonly host: string;
  readonly port: number;
}

/** Everything rejects with GpuRunError. */
export interface Connector {
  /** Makes the connection, if there is none that is alive. */
  connect(signal?: AbortSignal): Promise<void>;
  /** Whether a connection stands, as far as is known without asking the machine. */
  alive(): boolean;
  start(argv: readonly string[], signal: AbortSignal): Promise<StartedCommand>;
  terminal(argv: readonly string[] | null, terminal: LocalTerminal): Promise<ExitStatus>;
  /** A byte stream to an address as seen from the machine. */
  dial(remote: RemoteAddress): Promise<Duplex>;
  /** null, or absent: it isn't the system's `ssh` that makes the connection. */
  usersSsh?(signal: AbortSignal): Promise<UsersSsh | null>;
  /** Ends the connection and what goes through it. */
  close(): Promise<void>;
}
