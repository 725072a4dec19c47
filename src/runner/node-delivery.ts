/**
 * Brings a Node to a machine that has none: the machine fetches it, else it comes from this computer over the connection that is there.
 * Where the C library is too old for Node, Bun comes instead. Checked before it is used.
 */
import { GpuRunError } from '../core/errors.ts';
import type { Transport } from '../transport/transport.ts';
import { NoRunnerError } from './no-runner.ts';
import { npmBun, npmNode, ownNode, type ProgramArchive } from './node-archive.ts';
import { downloadNode } from './node-download.ts';
import type { LinuxArch } from './node-pin.ts';
import { type OnDelivery, type Sent, sendProgram } from './node-send.ts';
import { neededKiB, type Probe } from './probe.ts';

export interface NodeSources {
  /** Where fetched archives are kept on this computer. */
  readonly cache: string;
  /** Laid out as nodejs.org/dist is; absent or null: the machine fetches nothing. */
  readonly mirror?: string | null;
}

/** Official builds of Node need the one, those of Bun the other. */
const oldestGlibc = { node: [2, 28], bun: [2, 17] } as const;

export interface Fitting {
  readonly program: 'node' | 'bun';
  readonly arch: LinuxArch;
  /** Absolute path of a folder of ours. */
  readonly place: string;
}

/** Absolute path of the program on the machine. @throws GpuRunError `unfit` with the reason, `disk-full`, `connection` */
export async function deliverNode(transport: Transport, probe: Probe, sources: NodeSources, onProgress: OnDelivery, signal: AbortSignal): Promise<string> {
  const { program, arch, place } = fittingProgram(probe);
  const { cache, mirror = null } = sources;
  const bring = async (archive: ProgramArchive): Promise<string | null> => {
    const path = `${place}/node/${archive.name}/bin/${program}`;
    let sent = await sendProgram(transport, archive, path, onProgress, signal);
    if (sent.kind === 'damaged') sent = await sendProgram(transport, archive, path, onProgress, signal); // what was there from before may have been
    return isThere(sent, probe) ? path : null;
  };
  if (program === 'bun') {
    const archive = await npmBun(arch, cache, signal);
    const brought = await bring(archive);
    if (brought !== null) return brought;
    throw unfit(probe, `${oldLibrary(probe)}; ${archive.name} was brought there in its place, and does not run`);
  }
  const fetched = mirror === null ? null : await downloadNode(transport, place, arch, mirror, signal);
  if (fetched !== null) return fetched;
  const own = await ownNode(arch, cache);
  const brought = own === null ? null : await bring(own);
  if (brought !== null) return brought;
  const archive = await npmNode(arch, cache, signal);
  const official = await bring(archive);
  if (official !== null) return official;
  throw unfit(probe, `Node ${archive.name} was brought there and does not run`);
}

/** False: it does not run there. @throws GpuRunError */
function isThere(sent: Sent, probe: Probe): boolean {
  switch (sent.kind) {
    case 'runs':
      return true;
    case 'does not run':
      return false;
    case 'damaged':
      throw new GpuRunError('connection', `Node was damaged on its way to the machine: ${sent.said}`, { retry: 'same' });
    case 'no room':
      throw noRoom(probe, sent.said);
    case 'not written':
      throw unfit(probe, `to bring one along failed: ${sent.said}`);
  }
}

/** @throws GpuRunError unfit, disk-full */
export function fittingProgram(probe: Probe): Fitting {
  if (probe.os !== 'Linux') throw unfit(probe, `for ${probe.os} none can be brought along`);
  const arch = ({ x86_64: 'x64', amd64: 'x64', aarch64: 'arm64', arm64: 'arm64' } as const)[probe.arch];
  if (arch === undefined) throw unfit(probe, `for the processor ${probe.arch} none can be brought along`);
  if (/musl/i.test(probe.libc)) {
    throw unfit(probe, `none is built for its C library (${probe.libc}), but by its distribution`, ['On Alpine, as root: apk add nodejs']);
  }
  const version = glibcOf(probe.libc);
  const program = (['node', 'bun'] as const).find((each) => version !== null && isAtLeast(version, oldestGlibc[each]));
  if (program === undefined) throw unfit(probe, oldLibrary(probe));
  if (probe.place !== null) return { program, arch, place: probe.place };
  if (probe.small.length > 0) throw noRoom(probe, null);
  throw unfit(probe, `programs may be run in none of its folders that are ours to write (mounted noexec: ${probe.noExec.join(', ')})`);
}

/** As `getconf` says it, `glibc 2.36`, or `ldd`: `ldd (GNU libc) 2.17`, `ldd (Ubuntu GLIBC 2.35-0ubuntu3) 2.35`. null: another, or not known. */
function glibcOf(libc: string): readonly [number, number] | null {
  const [, major, minor] = /^(?:glibc |ldd \(.*(?:GLIBC|GNU libc).*\) )(\d+)\.(\d+)/.exec(libc) ?? [];
  return major === undefined ? null : [Number(major), Number(minor)];
}

function isAtLeast([major, minor]: readonly [number, number], [oldestMajor, oldestMinor]: readonly [number, number]): boolean {
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}

function oldLibrary({ libc }: Probe): string {
  return `its C library (${libc === '' ? 'unknown' : libc}) is not glibc ${oldestGlibc.node.join('.')} or later, which Node needs`;
}

function noRoom({ small }: Probe, said: string | null): GpuRunError {
  const free = small.map(({ path, freeKiB }) => `${Math.round(freeKiB / 1024)} MiB at ${path}`).join(', ');
  const there = said === null ? ` (free: ${free})` : ` (${said})`;
  return new NoRunnerError('disk-full', `The machine has no Node, and no room for one: it takes ${Math.round(neededKiB / 1024)} MiB${there}.`, {
    hints: ['Free space in the home folder on the machine, or install Node 20 or later there.'],
  });
}

function unfit({ nodes }: Probe, why: string, more: readonly string[] = []): GpuRunError {
  const [one] = nodes;
  const isOld = one !== undefined && Number.parseInt(one.version, 10) < 20;
  const has = one === undefined ? 'no Node' : isOld ? `only Node ${one.version} (${one.path})` : `a Node ${one.version} (${one.path}) that does not work`;
  return new NoRunnerError('unfit', `The runner needs Node 20 or later on the machine. It has ${has}, and ${why}.`, {
    hints: [
      ...more,
      'Install Node 20 or later on the machine, or put it on the PATH of its non-interactive shells, and try again: without root by conda (conda install -c conda-forge nodejs), or, where there are environment modules, by module load in ~/.bashrc.',
    ],
  });
}
