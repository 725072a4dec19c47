/**
 * A computer with an NVIDIA driver that is not there: an `nvidia-smi` that goes on and on as the real one does, and an NVML library,
 * compiled where there is a C compiler. Both say what one table tells, and that can be changed while programs run.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface FakeGpu {
  readonly uuid: string;
  readonly name: string;
  readonly utilization: number;
  readonly memoryUtilization: number;
  readonly memoryUsedMiB: number;
  readonly memoryTotalMiB: number;
  readonly powerMilliwatts: number;
  readonly powerLimitMilliwatts: number;
  readonly temperature: number;
  readonly smClock: number;
  readonly smClockMax: number;
  /** Bit mask. */
  readonly throttle: number;
  readonly ecc: number;
  /** Fields of this that the GPU can't tell: NVML says NOT_SUPPORTED, nvidia-smi `[N/A]`. */
  readonly unsupported: readonly (keyof FakeGpu)[];
  /** It has fallen off the bus. */
  readonly lost: boolean;
  /** The newest XID error is waiting to be told. */
  readonly xid: number;
  readonly processes: readonly { readonly pid: number; readonly memoryMiB: number; readonly name: string }[];
}

export interface FakeDriver {
  /** For programs that shall see the driver. */
  readonly env: NodeJS.ProcessEnv;
  /** What the GPUs are like from now on. */
  become(gpus: readonly Partial<FakeGpu>[], faults?: DriverFaults): void;
  /** How often nvidia-smi has told of all GPUs since they became what they are. */
  roundsTold(): number;
}

export interface FakeDriverOptions {
  /** Builds the NVML library; null: there is only nvidia-smi. */
  readonly compiler: string | null;
  /** Its NVML knows the functions of an old driver alone. */
  readonly old?: boolean;
  /** What else the environment holds. */
  readonly base?: NodeJS.ProcessEnv;
}

export interface DriverFaults {
  /** Fields that this version of nvidia-smi doesn't know. */
  readonly unknownFields?: readonly string[];
  /** Whatever is called never returns. */
  readonly hang?: boolean;
  /** nvidia-smi writes this on stderr and ends with exit code 9. */
  readonly fail?: string;
  /** Bytes of an entry in NVML's list of processes; default 24. */
  readonly entryBytes?: number;
}

const ordinary: Omit<FakeGpu, 'uuid'> = {
  name: 'NVIDIA H200',
  utilization: 97,
  memoryUtilization: 41,
  memoryUsedMiB: 61_440,
  memoryTotalMiB: 143_771,
  powerMilliwatts: 612_340,
  powerLimitMilliwatts: 700_000,
  temperature: 61,
  smClock: 1_755,
  smClockMax: 1_980,
  throttle: 0,
  ecc: 0,
  unsupported: [],
  lost: false,
  xid: 0,
  processes: [],
};

export function fakeGpu(index: number, told: Partial<FakeGpu> = {}): FakeGpu {
  return { uuid: `GPU-0000000${index}-aaaa-bbbb-cccc-dddddddddddd`, ...ordinary, ...told };
}

export function createFakeDriver(
  folder: string,
  gpus: readonly Partial<FakeGpu>[],
  { compiler, old = false, base = process.env }: FakeDriverOptions,
): FakeDriver {
  const bin = join(folder, 'driver-bin');
  mkdirSync(bin, { recursive: true });
  const table = join(folder, 'gpus.txt');
  const program = fileURLToPath(new URL('./fake-smi.js', import.meta.url));
  writeFileSync(join(bin, 'nvidia-smi'), `#!/bin/sh\nexec '${process.execPath}' '${program}' '${table}' "$@"\n`, { mode: 0o755 });
  if (compiler !== null) {
    const source = fileURLToPath(new URL('./fake-nvml.c', import.meta.url));
    execFileSync(compiler, ['-shared', '-fPIC', '-O1', ...(old ? ['-DOLD'] : []), '-o', join(folder, 'libnvidia-ml.so.1'), source]);
  }
  const driver: FakeDriver = {
    env: { ...base, PATH: `${bin}:${base['PATH'] ?? '/usr/bin:/bin'}`, LD_LIBRARY_PATH: folder, FAKE_NVML: table },
    become(now, faults = {}) {
      writeFileSync(`${table}.new`, tableOf(now, faults), { mode: 0o600 });
      renameSync(`${table}.new`, table);
      rmSync(`${table}.told`, { force: true });
    },
    roundsTold: () => (existsSync(`${table}.told`) ? readFileSync(`${table}.told`).length : 0),
  };
  driver.become(gpus);
  return driver;
}

/** Lines `<GPU or *> <key> <value>`, easy to read in C. */
function tableOf(gpus: readonly Partial<FakeGpu>[], { unknownFields = [], hang = false, fail = '', entryBytes = 24 }: DriverFaults): string {
  const lines = [`* count ${gpus.length}`, `* hang ${Number(hang)}`, `* entry ${entryBytes}`, ...unknownFields.map((name) => `* unknown ${name}`)];
  if (fail !== '') lines.push(`* fail ${fail}`);
  for (const [index, told] of gpus.entries()) {
    const { processes, unsupported, ...facts } = fakeGpu(index, told);
    for (const [key, value] of Object.entries(facts)) lines.push(`${index} ${key} ${typeof value === 'boolean' ? Number(value) : value}`);
    for (const key of unsupported) lines.push(`${index} unsupported ${key}`);
    for (const { pid, memoryMiB, name } of processes) lines.push(`${index} process ${pid} ${memoryMiB} ${name}`);
  }
  return `${lines.join('\n')}\n`;
}
