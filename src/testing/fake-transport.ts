/** A transport without a network: commands are answered by the test, files live in a map. */
import { constants } from 'node:os';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { GpuRunError } from '../core/errors.ts';
import type { ExitStatus, RemoteProcess, Transport } from '../transport/transport.ts';

export interface FakeCommand {
  readonly argv: readonly string[];
  /** All that was written to its stdin, once that has ended. */
  input(): Promise<Buffer>;
  /** Aborted when the command is killed, its signal is aborted, or the connection ends. */
  readonly signal: AbortSignal;
}

export interface FakeOutcome {
  readonly stdout?: string | Uint8Array;
  readonly stderr?: string | Uint8Array;
  readonly code?: number;
  readonly signal?: string | null;
}

export interface FakeTransportOptions {
  /** What a command does; what it throws is what `exit` rejects with. Default: every command succeeds and says nothing. */
  readonly run?: (command: FakeCommand) => FakeOutcome | Promise<FakeOutcome>;
}

export interface FakeTransport extends Transport {
  /** Every command that was started, in order. */
  readonly commands: readonly (readonly string[])[];
  /** By remote path, as `copyTo` was given it. */
  readonly files: Map<string, { readonly content: Buffer; readonly mode: number }>;
  readonly forwards: readonly { readonly port: number; readonly remote: { readonly host: string; readonly port: number } }[];
  readonly closed: boolean;
  /** The connection breaks: commands that run end with `connection`; the next one connects again. */
  drop(): void;
}

const firstForwardPort = 40_000;

export function createFakeTransport({ run = () => ({}) }: FakeTransportOptions = {}): FakeTransport {
  const commands: (readonly string[])[] = [];
  const files: FakeTransport['files'] = new Map();
  const forwards: { port: number; remote: { host: string; port: number } }[] = [];
  let connection = new AbortController();
  let closed = false;

  const checkOpen = () => {
    if (closed) throw new GpuRunError('connection', 'The transport is closed.');
  };

  async function* contentOf(remotePath: string): AsyncGenerator<Buffer> {
    checkOpen();
    const file = files.get(remotePath);
    if (file === undefined) throw new GpuRunError('not-found', `There is no file '${remotePath}' on the machine.`);
    yield file.content;
  }

  function exec(argv: readonly string[], signal?: AbortSignal): RemoteProcess {
    commands.push(argv);
    const killed = new AbortController();
    const stdin = new PassThrough();
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const ends = AbortSignal.any([killed.signal, connection.signal, ...(signal === undefined ? [] : [signal])]);
    const ended = new Promise<FakeOutcome>((resolve, reject) => {
      const onAbort = () => (killed.signal.aborted ? resolve(killed.signal.reason as FakeOutcome) : reject(reasonOf(ends, signal)));
      if (ends.aborted) onAbort();
      else ends.addEventListener('abort', onAbort, { once: true });
    });
    let input: Promise<Buffer> | null = null;
    const work = Promise.resolve().then(() => run({ argv, signal: ends, input: () => (input ??= buffer(stdin)) }));
    const exit = Promise.race([work, ended])
      .then((outcome): ExitStatus => {
        stdout.write(outcome.stdout ?? '');
        stderr.write(outcome.stderr ?? '');
        return { code: outcome.code ?? 0, signal: outcome.signal ?? null };
      })
      .finally(() => {
        stdout.end();
        stderr.end();
      });
    exit.catch(() => {}); // who only reads the streams need not look at it
    return {
      stdin,
      stdout,
      stderr,
      exit,
      kill: (name = 'SIGTERM') => killed.abort({ code: 128 + constants.signals[name], signal: name } satisfies FakeOutcome),
    };
  }

  return {
    commands,
    files,
    forwards,
    get closed() {
      return closed;
    },
    drop() {
      connection.abort(new GpuRunError('connection', 'The connection was dropped by the test.', { retry: 'same' }));
      connection = new AbortController();
    },
    async connect(signal) {
      checkOpen();
      signal?.throwIfAborted();
    },
    exec: (argv, options) => exec(argv, options?.signal),
    async terminal(argv, terminal) {
      const command = exec(argv ?? []);
      command.stdin.end();
      command.stdout.pipe(terminal.stdout, { end: false });
      command.stderr.pipe(terminal.stderr, { end: false });
      return command.exit;
    },
    async copyTo(content, remotePath, { mode, signal }) {
      checkOpen();
      const bytes = content instanceof Uint8Array ? Buffer.from(content) : await buffer(content);
      signal?.throwIfAborted();
      files.set(remotePath, { content: bytes, mode });
    },
    copyFrom(remotePath) {
      return Readable.from(contentOf(remotePath), { objectMode: false });
    },
    async forward(localPort, remote) {
      checkOpen();
      const forward = { port: localPort === 0 ? firstForwardPort + forwards.length : localPort, remote };
      forwards.push(forward);
      return { port: forward.port, close: async () => void forwards.splice(forwards.indexOf(forward), 1) };
    },
    async close() {
      closed = true;
      connection.abort(new GpuRunError('connection', 'The transport was closed.'));
    },
  };
}

function reasonOf(ends: AbortSignal, asked: AbortSignal | undefined): unknown {
  return asked?.aborted === true ? new GpuRunError('interrupted', 'Interrupted.', { cause: asked.reason }) : ends.reason;
}
