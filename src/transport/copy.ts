/**
 * Single files over exec channels: any POSIX shell at the other end will do. May import core and this folder.
 *
 * A channel that breaks looks like an end of file to the machine. So what is written ends with a random mark that the machine
 * checks and cuts off: without it nothing takes the file's place.
 */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GpuRunError } from '../core/errors.ts';
import type { RemoteProcess, Transport } from './transport.ts';

type Exec = Transport['exec'];

const incomplete = 81;
const isFolder = 82;
const isAbsent = 83;

/** $1 path, $2 mode, $3 mark of 32 characters, which also makes the hidden name unique. */
const receiveScript = `
LC_ALL=C; export LC_ALL
umask 077
if [ -d "$1" ]; then exit ${isFolder}; fi
dir=\${1%/*}/
mkdir -p "$dir" || exit 1
hidden=$dir.gpu-run-$3
trap 'rm -f "$hidden"' EXIT
trap 'exit 1' HUP INT TERM PIPE
cat > "$hidden" || exit 1
if [ "$(tail -c 32 "$hidden")" != "$3" ]; then exit ${incomplete}; fi
size=$(wc -c < "$hidden") || exit 1
dd if=/dev/null of="$hidden" bs=1 seek="$((size - 32))" 2> /dev/null || exit 1
chmod "$2" "$hidden" && mv -f "$hidden" "$1"
`;

/** $1 path. */
const sendScript = `
LC_ALL=C; export LC_ALL
if [ -d "$1" ]; then exit ${isFolder}; fi
if [ ! -e "$1" ]; then exit ${isAbsent}; fi
exec cat "$1"
`;

export async function writeRemoteFile(
  exec: Exec,
  content: Readable | Uint8Array,
  path: string,
  options: { readonly mode: number; readonly signal?: AbortSignal },
): Promise<void> {
  const mark = randomBytes(16).toString('hex');
  const mode = (options.mode & 0o7777).toString(8).padStart(4, '0');
  const receiver = exec(['sh', '-c', receiveScript, 'sh', explicitPath(path), mode, mark], signalOption(options.signal));
  const said = collectText(receiver.stderr);
  receiver.stdout.resume();
  const source = content instanceof Uint8Array ? Readable.from([content], { objectMode: false }) : content;
  const sent = await pipeline(marked(source, mark), receiver.stdin).then(
    () => null,
    (error: Error) => error,
  );
  const status = await receiver.exit;
  if (source.errored !== null) throw copyError(path, `reading what should be written failed: ${source.errored.message}`, source.errored);
  if (status.code === isFolder) throw copyError(path, 'it is a folder');
  if (status.code !== 0)
    throw copyError(path, (await said) || (status.code === incomplete ? 'not all of it arrived' : `the machine said ${status.code}`), sent);
}

async function* marked(source: Readable, mark: string): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  yield Buffer.from(mark, 'latin1');
}

export function readRemoteFile(exec: Exec, path: string, signal?: AbortSignal): Readable {
  return Readable.from(remoteBytes(exec, path, signal), { objectMode: false });
}

async function* remoteBytes(exec: Exec, path: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const sender = exec(['sh', '-c', sendScript, 'sh', explicitPath(path)], signalOption(signal));
  sender.stdin.end();
  const said = collectText(sender.stderr);
  let finished = false;
  try {
    yield* sender.stdout;
    finished = true;
  } finally {
    if (!finished) stop(sender);
  }
  const { code } = await sender.exit;
  if (code === isAbsent) throw new GpuRunError('not-found', `There is no file '${path}' on the machine.`);
  if (code === isFolder) throw copyError(path, 'it is a folder');
  if (code !== 0) throw copyError(path, (await said) || `the machine said ${code}`);
}

function stop(sender: RemoteProcess): void {
  sender.stdout.resume();
  sender.kill();
}

/** No program may take the path for an option, and its parent can always be cut off. */
function explicitPath(path: string): string {
  if (path === '' || path.endsWith('/')) throw new GpuRunError('bad-input', `'${path}' is no file's path.`);
  return path.startsWith('/') ? path : `./${path}`;
}

function copyError(path: string, why: string, cause?: unknown): GpuRunError {
  const text = `The file '${path}' on the machine could not be copied: ${why}.`;
  if (/no space left|quota exceeded/i.test(why)) {
    return new GpuRunError('disk-full', text, { hints: ['Make room on the machine, or rent one with a larger disk.'], cause });
  }
  return new GpuRunError('sync', text, { cause });
}

/** The last 4 KiB, trimmed, on one line. */
async function collectText(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) text = (text + String(chunk)).slice(-4096);
  return text.trim().replaceAll(/\s*\n\s*/g, '; ');
}

function signalOption(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
