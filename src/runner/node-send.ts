/**
 * A program goes to the machine over the connection that is there, compressed. What arrived is kept when the connection breaks: the next
 * one sends the rest. In its place it is only when it is whole and runs.
 */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { GpuRunError } from '../core/errors.ts';
import type { Transport } from '../transport/transport.ts';
import type { ProgramArchive } from './node-archive.ts';
import { selfTest } from './probe-script.ts';
import { type Ran, runRemote } from './run-remote.ts';

/** Bytes so far and in all, as they travel. */
export type OnDelivery = (doneBytes: number, totalBytes: number) => void;

export type Sent =
  | { readonly kind: 'runs' }
  | { readonly kind: 'does not run' | 'no room' | 'not written'; readonly said: string }
  /** What arrived is not what was sent. */
  | { readonly kind: 'damaged'; readonly said: string };

/**
 * `$1`: the file that keeps what arrived. Says how many bytes there are. Whoever receives has it under a name that ends in its pid: what
 * one that is dead, or has got nothing for 10 s as its connection is dead, has left is taken back.
 */
const askScript = `
LC_ALL=C; export LC_ALL
umask 077
mkdir -p "\${1%/*}" || exit 71
for file in "$1".*; do
  [ -f "$file" ] || continue
  pid=\${file##*.}
  if kill -0 "$pid" 2>/dev/null && grep -qF "$1" "/proc/$pid/cmdline" 2>/dev/null; then
    before=$(wc -c <"$file")
    for second in 1 2 3 4 5 6 7 8 9 10; do
      sleep 1
      [ "$(wc -c <"$file" 2>/dev/null)" = "$before" ] || continue 2
    done
    kill -9 "$pid"
  fi
  mv -f "$file" "$1"
done
[ ! -f "$1" ] || wc -c <"$1"
`;

/**
 * `$1`: the file that keeps what arrived, `$2`: bytes in it, `$3`: bytes in all, `$4`: where the program belongs, `$5`: its SHA-256, `$6`: the
 * self-test. The rest of the gzip file comes on stdin. Exit codes: 71 can't be written, 72 damaged on the way, 73 does not run here, 75 not whole yet,
 * 76 somebody else has taken what was there.
 */
const receiveScript = `
LC_ALL=C; export LC_ALL
umask 077
part=$1
mine=$1.$$
hidden=
trap '[ -z "$hidden" ] || rm -f "$hidden"; [ ! -f "$mine" ] || mv -f "$mine" "$part"' EXIT
for old in "\${part%/*}"/.part-*; do
  case $old in "$part"*) ;; *) rm -f "$old" ;; esac
done
have=0
if mv "$part" "$mine" 2>/dev/null; then have=$(wc -c <"$mine"); fi
[ "$have" -eq "$2" ] || exit 76
cat >>"$mine" || exit 71
[ "$(wc -c <"$mine")" -ge "$3" ] || exit 75
mkdir -p "\${4%/*}" || exit 71
hidden=\${4%/*}/.program.$$
gzip -dc <"$mine" >"$hidden" || { gzip -t <"$mine" 2>/dev/null && exit 71; rm -f "$mine"; exit 72; }
sum=$( (sha256sum "$hidden" || shasum -a 256 "$hidden") 2>/dev/null | sed 's/^\\\\\\{0,1\\}\\([0-9a-f]*\\).*/\\1/')
rm -f "$mine"
[ "$sum" = "$5" ] || { echo "checksum $sum" >&2; exit 72; }
chmod 700 "$hidden" && "$hidden" --version || exit 73
case $("$hidden" -e "$6" </dev/null) in "works "*" yes") ;; *) exit 73 ;; esac
mv -f "$hidden" "$4" || exit 71
`;

/** `program`: absolute path of where it belongs. @throws GpuRunError what the transport says; what arrived until then is kept */
export async function sendProgram(transport: Transport, archive: ProgramArchive, program: string, onProgress: OnDelivery, signal: AbortSignal): Promise<Sent> {
  const part = `${program.split('/').slice(0, -3).join('/')}/.part-${archive.name}-${archive.sha256.slice(0, 16)}-${archive.bytes}`;
  const asked = await runRemote(transport, ['sh', '-c', askScript, 'gpu-run', part], null, signal);
  throwIfKilled(asked);
  if (asked.code !== 0) return failed(asked.stderr);
  const have = Number.parseInt(asked.stdout.trim().split('\n').at(-1) ?? '', 10);
  const there = Number.isNaN(have) ? 0 : have;
  const words = [part, String(there), String(archive.bytes), program, archive.sha256, selfTest];
  const received = await runRemote(
    transport,
    ['sh', '-c', receiveScript, 'gpu-run', ...words],
    restOf(archive, Math.min(there, archive.bytes), onProgress),
    signal,
  );
  throwIfKilled(received);
  const { code, stderr } = received;
  if (code === 0) return { kind: 'runs' };
  if (code === 73) return { kind: 'does not run', said: stderr.trim() };
  if (code === 72) return { kind: 'damaged', said: stderr.trim() };
  if (code === 75 || code === 76) {
    const why = code === 75 ? 'the connection broke' : 'another gpu-run sends one at the same time';
    throw new GpuRunError('connection', `Node did not arrive whole on the machine: ${why}.`, { retry: 'same' });
  }
  return failed(stderr.trim() === '' ? `exit code ${code}` : stderr);
}

/** By another gpu-run, to which this connection seemed dead, or by a machine that shuts down: nothing is wrong with the machine. */
function throwIfKilled({ code, signal }: Ran): void {
  if (code < 128) return;
  throw new GpuRunError('connection', `What receives Node on the machine was killed (${signal ?? `exit code ${code}`}).`, { retry: 'same' });
}

/** `said`: in English, as the scripts ask for. */
function failed(said: string): Sent {
  return { kind: /no space|quota/i.test(said) ? 'no room' : 'not written', said: said.trim() };
}

function restOf({ file, bytes }: ProgramArchive, offset: number, onProgress: OnDelivery): Readable {
  let done = offset;
  const chunks = async function* () {
    if (offset === bytes) return;
    for await (const chunk of createReadStream(file, { start: offset, highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
      yield chunk;
      done += chunk.length;
      onProgress(done, bytes);
    }
  };
  return Readable.from(chunks(), { objectMode: false });
}
