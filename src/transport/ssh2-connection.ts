/** One connection of the `ssh2` library: made, verified and, when it fails, explained. May import core and this folder. */
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import ssh2, { type Client, type ServerHostKeyAlgorithm } from 'ssh2';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import type { Access } from '../core/machine.ts';
import { fingerprintOfBlob, type ParsedKey, parsePublicKey } from './host-keys.ts';
import { orInterrupted } from './or-interrupted.ts';
import { answersWithinMs, type ConnectOptions } from './transport.ts';

export type OwnAccess = Extract<Access, { kind: 'own' }>;

export interface Ssh2Connection {
  readonly client: Client;
  /** False once it is known to be dead. */
  alive(): boolean;
  /** Why a command that was running did not come to an end. */
  lost(): GpuRunError;
  /** Resolves when the socket is closed. */
  close(): Promise<void>;
}

/** Rejects with `connection`, `host-key`, `not-allowed`, or `interrupted` when aborted. Leaves no socket behind. */
export async function openSsh2(access: OwnAccess, options: ConnectOptions, signal: AbortSignal): Promise<Ssh2Connection> {
  const privateKey = await readIdentity(options.identityFile, access);
  const known = access.hostKeys.map(parsePublicKey);
  const serverHostKey = hostKeyAlgorithms(known, access);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(options.timeoutMs ?? answersWithinMs)]);
  const dialled = options.dial === undefined ? null : await dialWithin(options.dial, access, options, signal, limit);
  const socket: Duplex = dialled ?? connectTcp({ host: access.host, port: access.port, noDelay: true, keepAlive: true });
  const client = new ssh2.Client();
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  const closed = socket.closed ? Promise.resolve() : new Promise<void>((done) => socket.once('close', () => done()));
  let mismatch: GpuRunError | null = null;
  let failure: Error | null = null;
  let alive = true;

  const fail = (error: Error) => {
    failure ??= error;
    alive = false;
    reject(error);
  };
  const onLimit = () => fail(new Error(signal.aborted ? 'aborted' : noAnswer(options)));
  if (limit.aborted) onLimit();
  else limit.addEventListener('abort', onLimit, { once: true });
  socket.on('error', fail);
  client.on('error', fail);
  client.once('end', () => fail(new Error('the machine closed it')));
  socket.once('close', () => fail(new Error('it was closed'))); // before the library tells the channels
  client.once('ready', resolve);
  const verifyHost = (blob: Buffer): boolean => {
    if (known.some((key) => key.blob.equals(blob))) return true;
    mismatch = unexpectedHostKey(access, known, blob);
    return false;
  };
  const startSsh = () => {
    try {
      client.connect({
        // The library leaves Nagle's algorithm on, which costs 40 ms and more a command: so the socket is ours.
        sock: socket,
        username: access.user,
        privateKey,
        authHandler: ['publickey'],
        hostVerifier: verifyHost,
        // No ciphers: the library's own order begins with AES-GCM and names only what this Node has. A list of ours that names one more
        // is refused as a whole, such as ChaCha20 by a Node in FIPS mode.
        algorithms: { serverHostKey },
        keepaliveInterval: options.keepaliveMs ?? 5_000,
        keepaliveCountMax: 3,
        readyTimeout: 0,
      });
    } catch (error) {
      fail(error as Error); // the private key is none
    }
  };
  if (socket.destroyed) fail(new Error('it was closed'));
  else if (dialled === null) socket.once('connect', startSsh);
  else startSsh();

  try {
    await ready;
  } catch (error) {
    socket.destroy();
    await closed;
    throw signal.aborted ? new GpuRunError('interrupted', 'Connecting was interrupted.', { cause: signal.reason }) : (mismatch ?? explain(error, access));
  } finally {
    limit.removeEventListener('abort', onLimit);
  }
  return {
    client,
    alive: () => alive,
    lost: () =>
      new GpuRunError('connection', `The connection to ${place(access)} broke: ${failure?.message ?? 'it was closed'}.`, { retry: 'same', cause: failure }),
    close: async () => {
      alive = false;
      sayGoodbye(client, socket);
      await closed;
    },
  };
}

/** A stream that comes too late is thrown away. */
async function dialWithin(
  dial: NonNullable<ConnectOptions['dial']>,
  access: OwnAccess,
  options: ConnectOptions,
  signal: AbortSignal,
  limit: AbortSignal,
): Promise<Duplex> {
  const dialling = dial(limit);
  try {
    return await orInterrupted(dialling, limit, (late) => late.destroy());
  } catch (error) {
    if (signal.aborted) throw new GpuRunError('interrupted', 'Connecting was interrupted.', { cause: signal.reason });
    throw limit.aborted ? explain(new Error(noAnswer(options), { cause: error }), access) : explain(error, access);
  }
}

function noAnswer({ timeoutMs = answersWithinMs }: ConnectOptions): string {
  return `no answer within ${Math.round(timeoutMs / 1000)} seconds`;
}

/** The machine knows at once that we left; one that takes no more bytes is waited for a second. */
function sayGoodbye(client: Client, socket: Duplex): void {
  client.end();
  if (socket instanceof Socket) socket.destroySoon();
  else socket.end(() => socket.destroy());
  const timer = setTimeout(() => socket.destroy(), 1_000);
  socket.once('close', () => clearTimeout(timer));
}

async function readIdentity(file: string | null, access: OwnAccess): Promise<Buffer> {
  const hints = [
    'This computer did not make the machine, or the key was deleted. Use the computer that made it, or end it with `gpu-run down` and start anew.',
  ];
  if (file === null) throw new GpuRunError('not-allowed', `There is no private key for ${place(access)}.`, { hints });
  try {
    return await readFile(file);
  } catch (error) {
    throw new GpuRunError('not-allowed', `The private key for ${place(access)} can't be read: ${(error as Error).message}.`, { hints, cause: error });
  }
}

/** Only what we hold a key for is negotiated: a server with several keys then shows the one that we know. */
function hostKeyAlgorithms(known: readonly ParsedKey[], access: OwnAccess): ServerHostKeyAlgorithm[] {
  const algorithms = known.flatMap(({ type }) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type])) as ServerHostKeyAlgorithm[];
  if (algorithms.length > 0) return [...new Set(algorithms)];
  throw new GpuRunError('host-key', `No host key of ${place(access)} is known, so nobody could tell it from an impostor.`);
}

function unexpectedHostKey(access: OwnAccess, known: readonly ParsedKey[], got: Buffer): GpuRunError {
  const expected = known.map((key) => fingerprintOfBlob(key.blob)).join(' or ');
  return new GpuRunError('host-key', `${place(access)} shows another host key than it was made with: expected ${expected}, got ${fingerprintOfBlob(got)}.`, {
    hints: ['Another machine may have taken over the address, or somebody is listening in: nothing was sent. `gpu-run status --refresh` asks the provider.'],
  });
}

function explain(error: unknown, access: OwnAccess): GpuRunError {
  if (error instanceof GpuRunError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const where = place(access);
  if (error instanceof Error && 'level' in error && error.level === 'client-authentication') {
    return new GpuRunError('not-allowed', `${where} does not accept our key for the user '${access.user}'.`, {
      hints: ['The machine may have been made anew since. `gpu-run status --refresh` asks the provider.'],
      cause: error,
    });
  }
  if (/no matching host key/i.test(message)) {
    return new GpuRunError('host-key', `${where} has no host key of the kind that it was made with.`, { cause: error });
  }
  if (/parse privateKey|private key/i.test(message)) {
    return new GpuRunError('not-allowed', `The private key for ${where} can't be used: ${message}.`, { cause: error });
  }
  const why = systemErrorCode(error) === 'ECONNREFUSED' ? 'nothing listens there (connection refused)' : message;
  return new GpuRunError('connection', `No connection to ${where}: ${why}.`, {
    retry: 'same',
    hints: ['Is the machine still up? `gpu-run status --refresh` asks the provider.'],
    cause: error,
  });
}

function place(access: OwnAccess): string {
  return `${access.host}:${access.port}`;
}
