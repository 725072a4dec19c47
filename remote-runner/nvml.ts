/**
 * NVIDIA's management library. Structures, numbers and what versions of it know are those of nvml.h and the NVML API reference
 * (docs.nvidia.com/deploy/nvml-api). Its calls block, and hang when the driver hangs: this runs in a process of its own.
 */
import type { GpuSample } from '../src/protocol/telemetry.ts';
import type { GpuReading } from './gpu-feed.ts';
import { type NativeFunction, openLibrary } from './native-library.ts';
import { findCalls, type NvmlCalls } from './nvml-calls.ts';
import { mostEntryBytes, type ProcessInfo, parseProcessInfos, unwritten } from './nvml-processes.ts';
import { openXids, type Xids } from './nvml-xid.ts';
import { throttleReasons } from './throttle.ts';

export interface Nvml {
  read(withProcesses: boolean): Pick<GpuReading, 'gpus' | 'processes' | 'problem'>;
}

/** Where containers and the Windows Subsystem for Linux put it when the loader doesn't find it. */
const libraryPaths = [
  'libnvidia-ml.so.1',
  '/usr/local/nvidia/lib64/libnvidia-ml.so.1',
  '/usr/lib/wsl/lib/libnvidia-ml.so.1',
  '/run/opengl-driver/lib/libnvidia-ml.so.1',
];

const ok = 0;
const insufficientSize = 7;
const gpuIsLost = 15;
const resetRequired = 16;
const nameBytes = 96;
/** What hardly ever changes is asked for at the first look and at every tenth: a call may take the driver a millisecond. */
const slowEvery = 10;
const smClock = 1;
const uncorrectedErrors = 1;
const volatileCounter = 0;
/** NVML_VALUE_NOT_AVAILABLE. */
const notAvailable = 0xffff_ffff_ffff_ffffn;

/** @throws Error in words when the library can't be used here */
export function openNvml(koffiFile: string): Nvml {
  const library = openLibrary(koffiFile, libraryPaths);
  const calls = findCalls(library);
  const say = (code: unknown) => `${calls.errorString?.(Number(code)) ?? `NVML error ${String(code)}`}`;
  const begun = calls.init?.();
  if (begun !== ok) throw new Error(begun === undefined ? 'the library has no nvmlInit' : say(begun));
  const number = Buffer.alloc(4);
  const counted = calls.count?.(number);
  if (counted !== ok) throw new Error(say(counted));
  const xids = openXids(library);
  const devices = Array.from({ length: number.readUInt32LE() }, (_, index) => openDevice(calls, index, xids)).filter((device) => device !== null);
  return {
    read(withProcesses) {
      xids?.look();
      const gpus = devices.map((device) => device.look());
      const lost = devices.filter((device) => device.isLost()).map(({ index }) => index);
      const processes = withProcesses ? devices.flatMap((device) => device.processes()) : [];
      return { gpus, processes, problem: lost.length === 0 ? null : `GPU ${lost.join(', ')} is lost (fallen off the bus, or in need of a reset)` };
    },
  };
}

interface Device {
  readonly index: number;
  isLost(): boolean;
  look(): GpuSample;
  processes(): GpuReading['processes'];
}

/** null: it is not for us, as in a container or a batch job that was given others. */
function openDevice(calls: NvmlCalls, index: number, xids: Xids | null): Device | null {
  let lost = false;
  /** null unless it succeeds: not supported by this GPU, not known to this library, not allowed, or the GPU is lost. */
  const ask = <T>(
    call: NativeFunction | null,
    bytes: number,
    read: (out: Buffer) => T,
    before: readonly number[] = [],
    prepare?: (out: Buffer) => void,
  ): T | null => {
    if (call === null || handle === null) return null;
    const out = Buffer.alloc(bytes);
    prepare?.(out);
    const code = call(handle, ...before, out);
    if (code === gpuIsLost || code === resetRequired) lost = true;
    return code === ok ? read(out) : null;
  };
  const integer = (call: NativeFunction | null, ...before: number[]) => ask(call, 4, (out) => out.readUInt32LE(), before);
  const long = (call: NativeFunction | null, ...before: number[]) => ask(call, 8, (out) => Number(out.readBigUInt64LE()), before);
  const text = (call: NativeFunction | null) => {
    const out = Buffer.alloc(nameBytes);
    return handle !== null && call?.(handle, out, nameBytes) === ok ? out.toString('utf8', 0, Math.max(0, out.indexOf(0))) : null;
  };

  const out = Buffer.alloc(8);
  const opened = calls.handle?.(index, out);
  lost = opened === gpuIsLost || opened === resetRequired;
  const handle = opened === ok ? out.readBigUInt64LE() : null;
  if (handle === null && !lost) return null;
  if (handle !== null) xids?.register(handle);
  let looks = 0;
  let slow: Pick<GpuSample, 'powerLimitWatts' | 'smClockMaxMhz' | 'eccUncorrected'> = { powerLimitWatts: null, smClockMaxMhz: null, eccUncorrected: null };
  const lookSlowly = () => ({
    powerLimitWatts: thousandth(integer(calls.powerLimit)),
    smClockMaxMhz: integer(calls.maxClock, smClock),
    eccUncorrected: long(calls.ecc, uncorrectedErrors, volatileCounter),
  });
  const [uuid, name] = [text(calls.uuid) ?? '', text(calls.name) ?? 'unknown GPU'];

  return {
    index,
    isLost: () => lost,
    look() {
      lost = handle === null ? lost : false;
      const utilization = ask(calls.utilization, 8, (bytes) => [bytes.readUInt32LE(), bytes.readUInt32LE(4)] as const);
      const memory = ask(calls.memory2, memory2Bytes, readMemory2, [], tagMemory2) ?? ask(calls.memory, memoryBytes, readMemory);
      if (looks++ % slowEvery === 0 || lost) slow = lookSlowly();
      return {
        index,
        uuid,
        name,
        utilization: utilization?.[0] ?? null,
        memoryUtilization: utilization?.[1] ?? null,
        memoryUsedBytes: memory?.used ?? null,
        memoryTotalBytes: memory?.total ?? null,
        powerWatts: thousandth(integer(calls.power)),
        temperatureC: integer(calls.temperature, 0),
        smClockMhz: integer(calls.clock, smClock),
        throttle: throttleReasons(ask(calls.throttle, 8, (bytes) => bytes.readUInt32LE()) ?? 0),
        xid: handle === null ? null : (xids?.newest(handle) ?? null),
        ...slow,
      };
    },
    processes() {
      const infos = handle === null ? [] : processInfos(calls, handle);
      return infos.map(({ pid, used }) => ({ gpu: index, pid, name: processName(calls, pid), memoryUsedBytes: used === notAvailable ? null : Number(used) }));
    },
  };
}

const memoryBytes = 24;
const readMemory = (out: Buffer) => ({ total: Number(out.readBigUInt64LE()), used: Number(out.readBigUInt64LE(16)) });
/** Its second version does not count what the driver keeps for itself, as nvidia-smi does not; it begins with its size and version. */
const memory2Bytes = 40;
const readMemory2 = (out: Buffer) => ({ total: Number(out.readBigUInt64LE(8)), used: Number(out.readBigUInt64LE(32)) });
const tagMemory2 = (out: Buffer) => void out.writeUInt32LE(memory2Bytes | (2 << 24));

function thousandth(value: number | null): number | null {
  return value === null ? null : value / 1_000;
}

function processInfos({ processes }: NvmlCalls, handle: bigint): ProcessInfo[] {
  if (processes === null) return [];
  for (let room = 32; room <= 8_192; room *= 4) {
    const count = Buffer.alloc(4);
    count.writeUInt32LE(room);
    const infos = Buffer.alloc(room * mostEntryBytes, unwritten);
    const code = processes(handle, count, infos);
    if (code === ok) return parseProcessInfos(infos, Math.min(room, count.readUInt32LE()));
    if (code !== insufficientSize) return [];
  }
  return [];
}

function processName({ processName: call }: NvmlCalls, pid: number): string | null {
  const out = Buffer.alloc(1_024);
  if (call?.(pid, out, out.length) !== ok) return null;
  return out.toString('utf8', 0, Math.max(0, out.indexOf(0))).trim() || null;
}
