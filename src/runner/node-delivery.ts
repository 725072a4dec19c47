/** Brings a Node to a machine that has none: the machine fetches it, else it comes from this computer over the connection that is there. Checked before it is used. */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { GpuRunError } from '../core/errors.ts';
import type { Transport } from '../transport/transport.ts';
import { archOf } from './native-delivery.ts';
import { type NodeArchive, npmNode, ownNode } from './node-archive.ts';
import { downloadNode } from './node-download.ts';
import type { LinuxArch } from './node-pin.ts';
import type { Probe } from './probe.ts';
import { runRemote } from './run-remote.ts';

export type OnDelivery = (doneBytes: number, totalBytes: number) => void;

/** Official builds need it. */
const oldestGlibc = [2, 28] as const;

/**
 * `$1`: name, `$2`: SHA-256 of the program; the gzip comes on stdin. It is in its place only when it is whole and runs.
 * Exit codes: 71 can't be written, 72 damaged on the way, 73 does not run here.
 */
const receiveScript = `
umask 077
folder=$HOME/.gpu-run/node/$1/bin
mkdir -p "$folder" || exit 71
hidden=$folder/.node.$$
trap 'rm -f "$hidden"' EXIT
gzip -dc >"$hidden" || exit 71
sum=$( (sha256sum "$hidden" || shasum -a 256 "$hidden") 2>/dev/null | sed 's/^\\\\\\{0,1\\}\\([0-9a-f]*\\).*/\\1/')
[ "$sum" = "$2" ] || { echo "checksum $sum" >&2; exit 72; }
chmod 700 "$hidden" && "$hidden" --version || exit 73
mv -f "$hidden" "$folder/node" || exit 71
`;

export interface NodeSources {
  /** Where fetched archives are kept on this computer. */
  readonly cache: string;
  /** Laid out as nodejs.org/dist is; absent or null: the machine fetches nothing. */
  readonly mirror?: string | null;
}

/** Absolute path of the Node on the machine. @throws GpuRunError `unfit` with the reason, `disk-full`, `connection` */
export async function deliverNode(transport: Transport, probe: Probe, sources: NodeSources, onProgress: OnDelivery, signal: AbortSignal): Promise<string> {
  const arch = fittingArch(probe);
  const { cache, mirror = null } = sources;
  const fetched = mirror === null ? null : await downloadNode(transport, probe, arch, mirror, signal);
  if (fetched !== null) return fetched;
  const own = await ownNode(arch, cache);
  if (own !== null && (await send(transport, own, probe, onProgress, signal)) === 'runs') return pathOf(probe, own);
  const archive = await npmNode(arch, cache, signal);
  if ((await send(transport, archive, probe, onProgress, signal)) === 'runs') return pathOf(probe, archive);
  throw unfit(probe, `Node ${archive.name} was brought there and does not run`);
}

function pathOf({ home }: Probe, { name }: NodeArchive): string {
  return `${home}/.gpu-run/node/${name}/bin/node`;
}

/** @throws GpuRunError unfit */
export function fittingArch(probe: Probe): LinuxArch {
  if (probe.os !== 'Linux') throw unfit(probe, `for ${probe.os} none can be brought along`);
  const arch = archOf(probe.arch);
  if (arch === null) throw unfit(probe, `for the processor ${probe.arch} none can be brought along`);
  const [, major, minor] = /^glibc (\d+)\.(\d+)/.exec(probe.libc) ?? [];
  const fits = Number(major) > oldestGlibc[0] || (Number(major) === oldestGlibc[0] && Number(minor) >= oldestGlibc[1]);
  if (!fits)
    throw unfit(probe, `its C library (${probe.libc === '' ? 'unknown' : probe.libc}) is not glibc ${oldestGlibc.join('.')} or later, which Node needs`);
  if (probe.noExec) throw unfit(probe, 'programs in its home folder may not be run (the file system is mounted noexec)');
  return arch;
}

async function send(transport: Transport, archive: NodeArchive, probe: Probe, onProgress: OnDelivery, signal: AbortSignal): Promise<'runs' | 'does not run'> {
  const neededKiB = Math.ceil(archive.unpackedBytes / 1024);
  if (probe.diskFreeKiB !== null && probe.diskFreeKiB < neededKiB) throw noRoom(neededKiB, probe.diskFreeKiB);
  const { code, stderr } = await runRemote(
    transport,
    ['sh', '-c', receiveScript, 'gpu-run', archive.name, archive.sha256],
    counted(archive, onProgress),
    signal,
  );
  if (code === 0) return 'runs';
  if (code === 73) return 'does not run';
  if (code === 72) throw new GpuRunError('connection', `Node was damaged on its way to the machine: ${stderr.trim()}`, { retry: 'same' });
  if (/no space|quota/i.test(stderr)) throw noRoom(neededKiB, probe.diskFreeKiB);
  throw unfit(probe, `to bring one along failed: ${stderr.trim() === '' ? `exit code ${code}` : stderr.trim()}`);
}

function counted(archive: NodeArchive, onProgress: OnDelivery): Readable {
  let done = 0;
  const chunks = async function* () {
    for await (const chunk of createReadStream(archive.file, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
      yield chunk;
      done += chunk.length;
      onProgress(done, archive.bytes);
    }
  };
  return Readable.from(chunks(), { objectMode: false });
}

function noRoom(neededKiB: number, freeKiB: number | null): GpuRunError {
  const free = freeKiB === null ? '' : `; ${Math.round(freeKiB / 1024)} MiB are free`;
  return new GpuRunError('disk-full', `The machine has no Node, and no room for one: it takes ${Math.round(neededKiB / 1024)} MiB in the home folder${free}.`, {
    hints: ['Free space in the home folder on the machine, or install Node 20 or later there.'],
  });
}

function unfit({ nodes }: Probe, why: string): GpuRunError {
  const [old] = nodes;
  const has = old === undefined ? 'no Node' : `only Node ${old.version} (${old.path})`;
  return new GpuRunError('unfit', `The runner needs Node 20 or later on the machine. It has ${has}, and ${why}.`, {
    hints: ['Install Node 20 or later on the machine, or put it on the PATH of its non-interactive shells, and try again.'],
  });
}
