/** The machine types as data. `machine-types.ts` says what the columns mean. */
import type { GpuName } from './gpu-names.ts';

export type Series = 'n1' | 'e2' | 'n2' | 'c3' | 'g2' | 'g4' | 'a2' | 'a2-ultra' | 'a3' | 'a3-mega' | 'a3-ultra' | 'a4';

export type BootDisk = 'pd-balanced' | 'hyperdisk-balanced';

interface BuiltIn {
  readonly type: string;
  readonly series: Series;
  readonly gpu: GpuName;
  readonly count: number;
  readonly accelerator: string;
  readonly vcpus: number;
  readonly memoryGib: number;
  readonly localSsdGib: number;
  readonly bootDisk: BootDisk;
  readonly onDemand: boolean;
}

type Family = Pick<BuiltIn, 'series' | 'gpu' | 'accelerator' | 'bootDisk'>;
/** type, GPUs, vCPUs, memory in GiB, bundled local SSD in GiB, sold on demand */
type Row = readonly [type: string, count: number, vcpus: number, memoryGib: number, localSsdGib: number, onDemand: boolean];

function family(of: Family, rows: readonly Row[]): readonly BuiltIn[] {
  return rows.map(([type, count, vcpus, memoryGib, localSsdGib, onDemand]) => ({ ...of, type, count, vcpus, memoryGib, localSsdGib, onDemand }));
}

/** Their GPUs belong to the type. G4's fractions of a GPU are left out: a job gets whole ones. */
export const builtIn: readonly BuiltIn[] = [
  ...family({ series: 'g2', gpu: 'L4', accelerator: 'nvidia-l4', bootDisk: 'pd-balanced' }, [
    ['g2-standard-4', 1, 4, 16, 0, true],
    ['g2-standard-8', 1, 8, 32, 0, true],
    ['g2-standard-12', 1, 12, 48, 0, true],
    ['g2-standard-16', 1, 16, 64, 0, true],
    ['g2-standard-32', 1, 32, 128, 0, true],
    ['g2-standard-24', 2, 24, 96, 0, true],
    ['g2-standard-48', 4, 48, 192, 0, true],
    ['g2-standard-96', 8, 96, 384, 0, true],
  ]),
  ...family({ series: 'g4', gpu: 'RTX-PRO-6000', accelerator: 'nvidia-rtx-pro-6000', bootDisk: 'hyperdisk-balanced' }, [
    ['g4-standard-48', 1, 48, 180, 0, true],
    ['g4-standard-96', 2, 96, 360, 0, true],
    ['g4-standard-192', 4, 192, 720, 0, true],
    ['g4-standard-384', 8, 384, 1440, 0, true],
  ]),
  ...family({ series: 'a2', gpu: 'A100', accelerator: 'nvidia-tesla-a100', bootDisk: 'pd-balanced' }, [
    ['a2-highgpu-1g', 1, 12, 85, 0, true],
    ['a2-highgpu-2g', 2, 24, 170, 0, true],
    ['a2-highgpu-4g', 4, 48, 340, 0, true],
    ['a2-highgpu-8g', 8, 96, 680, 0, true],
    ['a2-megagpu-16g', 16, 96, 1360, 0, true],
  ]),
  ...family({ series: 'a2-ultra', gpu: 'A100-80GB', accelerator: 'nvidia-a100-80gb', bootDisk: 'pd-balanced' }, [
    ['a2-ultragpu-1g', 1, 12, 170, 375, true],
    ['a2-ultragpu-2g', 2, 24, 340, 750, true],
    ['a2-ultragpu-4g', 4, 48, 680, 1500, true],
    ['a2-ultragpu-8g', 8, 96, 1360, 3000, true],
  ]),
  ...family({ series: 'a3', gpu: 'H100', accelerator: 'nvidia-h100-80gb', bootDisk: 'pd-balanced' }, [
    // Fewer than 8: Spot and queued starts only.
    ['a3-highgpu-1g', 1, 26, 234, 750, false],
    ['a3-highgpu-2g', 2, 52, 468, 1500, false],
    ['a3-highgpu-4g', 4, 104, 936, 3000, false],
    ['a3-highgpu-8g', 8, 208, 1872, 6000, true],
  ]),
  ...family({ series: 'a3-mega', gpu: 'H100', accelerator: 'nvidia-h100-mega-80gb', bootDisk: 'pd-balanced' }, [['a3-megagpu-8g', 8, 208, 1872, 6000, false]]),
  ...family({ series: 'a3-ultra', gpu: 'H200', accelerator: 'nvidia-h200-141gb', bootDisk: 'hyperdisk-balanced' }, [
    ['a3-ultragpu-8g', 8, 224, 2952, 12_000, false],
  ]),
  ...family({ series: 'a4', gpu: 'B200', accelerator: 'nvidia-b200', bootDisk: 'hyperdisk-balanced' }, [['a4-highgpu-8g', 8, 224, 3968, 12_000, false]]),
];

interface General {
  readonly type: string;
  readonly series: Series;
  readonly vcpus: number;
  readonly memoryGib: number;
}

function sizes(series: Series, kind: string, gibPerVcpu: number, vcpus: readonly number[]): readonly General[] {
  return vcpus.map((count) => ({ type: `${series}-${kind}-${count}`, series, vcpus: count, memoryGib: count * gibPerVcpu }));
}

/** Types without a GPU of their own; N1 can get one. */
export const general: readonly General[] = [
  ...sizes('e2', 'standard', 4, [2, 4, 8, 16, 32]),
  ...sizes('e2', 'highmem', 8, [2, 4, 8, 16]),
  ...sizes('n2', 'standard', 4, [2, 4, 8, 16, 32, 48, 64, 80, 96, 128]),
  ...sizes('n2', 'highmem', 8, [2, 4, 8, 16, 32, 48, 64, 80, 96]),
  ...sizes('c3', 'standard', 4, [4, 8, 22, 44, 88, 176]),
  ...sizes('c3', 'highmem', 8, [4, 8, 22, 44, 88, 176]),
  ...sizes('n1', 'standard', 3.75, [2, 4, 8, 16, 32, 64, 96]),
  ...sizes('n1', 'highmem', 6.5, [2, 4, 8, 16, 32, 64, 96]),
];

interface Attachment {
  readonly count: number;
  readonly maxVcpus: number;
  readonly maxMemoryGib: number;
}

/** How large an N1 machine may be with so many GPUs (the API refuses larger ones). Source: Google's page on GPUs with N1. */
export const attachments: Readonly<Partial<Record<GpuName, readonly Attachment[]>>> = {
  T4: [
    { count: 1, maxVcpus: 48, maxMemoryGib: 312 },
    { count: 2, maxVcpus: 48, maxMemoryGib: 312 },
    { count: 4, maxVcpus: 96, maxMemoryGib: 624 },
  ],
  P4: [
    { count: 1, maxVcpus: 24, maxMemoryGib: 156 },
    { count: 2, maxVcpus: 48, maxMemoryGib: 312 },
    { count: 4, maxVcpus: 96, maxMemoryGib: 624 },
  ],
  V100: [
    { count: 1, maxVcpus: 12, maxMemoryGib: 78 },
    { count: 2, maxVcpus: 24, maxMemoryGib: 156 },
    { count: 4, maxVcpus: 48, maxMemoryGib: 312 },
    { count: 8, maxVcpus: 96, maxMemoryGib: 624 },
  ],
  P100: [
    { count: 1, maxVcpus: 16, maxMemoryGib: 104 },
    { count: 2, maxVcpus: 32, maxMemoryGib: 208 },
    { count: 4, maxVcpus: 64, maxMemoryGib: 208 },
  ],
};
