/** What the emulated Compute Engine has: regions with their zones, which GPUs stand in which zone, machine types, images. Realistic, not exact. */

/** Region, letters of its zones. */
export const regionZones: Readonly<Record<string, string>> = {
  'us-central1': 'abcf',
  'us-east1': 'bcd',
  'us-east4': 'abc',
  'us-east5': 'abc',
  'us-west1': 'abc',
  'us-west2': 'abc',
  'us-west4': 'abc',
  'europe-west1': 'bcd',
  'europe-west2': 'abc',
  'europe-west3': 'abc',
  'europe-west4': 'abc',
  'asia-east1': 'abc',
  'asia-northeast1': 'abc',
  'asia-south1': 'abc',
  'asia-southeast1': 'abc',
};

export type FamilyName = 'g2' | 'g4' | 'a2' | 'a2-ultra' | 'a3-high' | 'a3-mega' | 'a3-ultra' | 'a4' | 't4' | 'v100' | 'p100' | 'p4';

/** GPU family, then region and the letters of its zones that have it. */
export const gpuZones: Readonly<Record<FamilyName, string>> = {
  g2: 'us-central1:abc us-east1:bcd us-east4:ac us-west1:abc us-west4:ac europe-west1:bc europe-west2:ab europe-west3:ab europe-west4:abc asia-east1:abc asia-northeast1:abc asia-south1:abc asia-southeast1:abc',
  g4: 'us-central1:b us-east4:a europe-west4:b asia-southeast1:b',
  a2: 'us-central1:abcf us-east1:b us-west1:b us-west4:b europe-west4:ab asia-northeast1:ac asia-southeast1:abc',
  'a2-ultra': 'us-central1:ac us-east4:c us-east5:ab europe-west4:a asia-southeast1:c',
  'a3-high':
    'us-central1:abc us-east4:abc us-east5:a us-west1:ab us-west4:a europe-west1:bc europe-west3:c europe-west4:bc asia-east1:c asia-northeast1:b asia-southeast1:bc',
  'a3-mega': 'us-east4:abc us-east5:a us-west4:a europe-west1:bc europe-west4:bc asia-northeast1:b asia-southeast1:bc',
  'a3-ultra': 'us-central1:b us-east4:b us-east5:a us-west1:c europe-west1:b europe-west4:a',
  a4: 'us-central1:b us-east1:b us-east4:b europe-west4:b asia-southeast1:b',
  t4: 'us-central1:abcf us-east1:cd us-east4:bc us-west1:ab us-west2:bc us-west4:ab europe-west1:bcd europe-west2:ab europe-west3:b europe-west4:abc asia-east1:ac asia-northeast1:ac asia-south1:ab asia-southeast1:abc',
  v100: 'us-central1:abcf us-east1:bc us-west1:ab europe-west4:abc asia-east1:c',
  p100: 'us-central1:cf us-east1:bc us-west1:ab europe-west1:bd europe-west4:a asia-east1:ac',
  p4: 'us-central1:ac us-east4:abc us-west2:bc europe-west4:bc asia-southeast1:abc',
};

export interface GpuKind {
  /** `nvidia-tesla-t4` */
  readonly accelerator: string;
  /** As the driver names it. */
  readonly device: string;
  /** MiB of one GPU. */
  readonly memoryMb: number;
  /** Quota metric; absent: not among those that regions.get shows. */
  readonly metric?: string;
  readonly description: string;
  readonly maximumCards: number;
}

export const gpuKinds: Readonly<Record<FamilyName, GpuKind>> = {
  g2: { accelerator: 'nvidia-l4', device: 'NVIDIA L4', memoryMb: 23034, metric: 'NVIDIA_L4_GPUS', description: 'NVIDIA L4', maximumCards: 8 },
  g4: {
    accelerator: 'nvidia-rtx-pro-6000',
    device: 'NVIDIA RTX PRO 6000 Blackwell Server Edition',
    memoryMb: 97887,
    description: 'NVIDIA RTX PRO 6000',
    maximumCards: 8,
  },
  a2: {
    accelerator: 'nvidia-tesla-a100',
    device: 'NVIDIA A100-SXM4-40GB',
    memoryMb: 40960,
    metric: 'NVIDIA_A100_GPUS',
    description: 'NVIDIA A100 40GB',
    maximumCards: 16,
  },
  'a2-ultra': {
    accelerator: 'nvidia-a100-80gb',
    device: 'NVIDIA A100-SXM4-80GB',
    memoryMb: 81920,
    metric: 'NVIDIA_A100_80GB_GPUS',
    description: 'NVIDIA A100 80GB',
    maximumCards: 8,
  },
  'a3-high': { accelerator: 'nvidia-h100-80gb', device: 'NVIDIA H100 80GB HBM3', memoryMb: 81559, description: 'NVIDIA H100 80GB', maximumCards: 8 },
  'a3-mega': { accelerator: 'nvidia-h100-mega-80gb', device: 'NVIDIA H100 80GB HBM3', memoryMb: 81559, description: 'NVIDIA H100 80GB MEGA', maximumCards: 8 },
  'a3-ultra': { accelerator: 'nvidia-h200-141gb', device: 'NVIDIA H200', memoryMb: 143771, description: 'NVIDIA H200 141GB', maximumCards: 8 },
  a4: { accelerator: 'nvidia-b200', device: 'NVIDIA B200', memoryMb: 183359, description: 'NVIDIA B200 180GB', maximumCards: 8 },
  t4: { accelerator: 'nvidia-tesla-t4', device: 'Tesla T4', memoryMb: 15360, metric: 'NVIDIA_T4_GPUS', description: 'NVIDIA T4', maximumCards: 4 },
  v100: {
    accelerator: 'nvidia-tesla-v100',
    device: 'Tesla V100-SXM2-16GB',
    memoryMb: 16384,
    metric: 'NVIDIA_V100_GPUS',
    description: 'NVIDIA V100',
    maximumCards: 8,
  },
  p100: {
    accelerator: 'nvidia-tesla-p100',
    device: 'Tesla P100-PCIE-16GB',
    memoryMb: 16384,
    metric: 'NVIDIA_P100_GPUS',
    description: 'NVIDIA Tesla P100',
    maximumCards: 4,
  },
  p4: { accelerator: 'nvidia-tesla-p4', device: 'Tesla P4', memoryMb: 7680, metric: 'NVIDIA_P4_GPUS', description: 'NVIDIA Tesla P4', maximumCards: 4 },
};

/** `name:vCPUs:GiB[:GPUs]`, by what a zone must have; `*`: every zone. */
export const machineTypeTable: readonly (readonly [FamilyName | '*', string])[] = [
  ['*', 'e2-medium:2:4 e2-standard-2:2:8 e2-standard-4:4:16 e2-standard-8:8:32 e2-standard-16:16:64 e2-standard-32:32:128'],
  ['*', 'n2-standard-2:2:8 n2-standard-4:4:16 n2-standard-8:8:32 n2-standard-16:16:64 n2-standard-32:32:128 n2-standard-64:64:256'],
  ['*', 'n1-standard-1:1:3.75 n1-standard-2:2:7.5 n1-standard-4:4:15 n1-standard-8:8:30 n1-standard-16:16:60 n1-standard-32:32:120 n1-standard-96:96:360'],
  ['*', 'n1-highmem-2:2:13 n1-highmem-4:4:26 n1-highmem-8:8:52 n1-highmem-16:16:104'],
  ['g2', 'g2-standard-4:4:16:1 g2-standard-8:8:32:1 g2-standard-12:12:48:1 g2-standard-16:16:64:1 g2-standard-32:32:128:1'],
  ['g2', 'g2-standard-24:24:96:2 g2-standard-48:48:192:4 g2-standard-96:96:384:8'],
  ['g4', 'g4-standard-48:48:180:1 g4-standard-96:96:360:2 g4-standard-192:192:720:4 g4-standard-384:384:1440:8'],
  ['a2', 'a2-highgpu-1g:12:85:1 a2-highgpu-2g:24:170:2 a2-highgpu-4g:48:340:4 a2-highgpu-8g:96:680:8 a2-megagpu-16g:96:1360:16'],
  ['a2-ultra', 'a2-ultragpu-1g:12:170:1 a2-ultragpu-2g:24:340:2 a2-ultragpu-4g:48:680:4 a2-ultragpu-8g:96:1360:8'],
  ['a3-high', 'a3-highgpu-1g:26:234:1 a3-highgpu-2g:52:468:2 a3-highgpu-4g:104:936:4 a3-highgpu-8g:208:1872:8'],
  ['a3-mega', 'a3-megagpu-8g:208:1872:8'],
  ['a3-ultra', 'a3-ultragpu-8g:224:2952:8'],
  ['a4', 'a4-highgpu-8g:224:3968:8'],
];

export interface ImageRow {
  readonly project: string;
  readonly family: string;
  readonly name: string;
  readonly diskSizeGb: number;
  /** It brings the NVIDIA driver. */
  readonly driver: boolean;
  readonly architecture?: 'X86_64' | 'ARM64';
}

export const imageRows: readonly ImageRow[] = [
  dlvm('common-cu129-ubuntu-2204-nvidia-580', 50),
  dlvm('common-cu129-ubuntu-2404-nvidia-580', 50),
  dlvm('pytorch-2-9-cu129-ubuntu-2204-nvidia-580', 60),
  dlvm('pytorch-2-9-cu129-ubuntu-2404-nvidia-580', 60),
  accelerated('ubuntu-accelerator-2204-amd64-with-nvidia-580'),
  accelerated('ubuntu-accelerator-2404-amd64-with-nvidia-580'),
  plain('ubuntu-os-cloud', 'ubuntu-2204-lts', 'ubuntu-2204-jammy-v20260901'),
  plain('ubuntu-os-cloud', 'ubuntu-2404-lts-amd64', 'ubuntu-2404-noble-amd64-v20260901'),
  plain('debian-cloud', 'debian-12', 'debian-12-bookworm-v20260901'),
];

function dlvm(family: string, diskSizeGb: number): ImageRow {
  return { project: 'deeplearning-platform-release', family, name: `${family.replace(/-nvidia-580$/, '')}-v20260818`, diskSizeGb, driver: true };
}

function accelerated(family: string): ImageRow {
  return { project: 'ubuntu-os-accelerator-images', family, name: `${family}-v20260810`, diskSizeGb: 20, driver: true };
}

function plain(project: string, family: string, name: string): ImageRow {
  return { project, family, name, diskSizeGb: 10, driver: false };
}
