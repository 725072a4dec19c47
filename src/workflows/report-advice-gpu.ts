/** Advice on the GPUs: whether they work, what they wait for, whether they are of the right size, whether they are sound. */
import { smallerCard } from '../core/gpu-memory.ts';
import { formatSize } from '../core/size.ts';
import type { Advice, Evidence, GpuFigures } from './report-figures.ts';
import { dollars, named, perCent, percent } from './report-words.ts';

const unusedShare = 0.98;
const starvedShare = 0.1;
const idleShare = 0.2;
/** Utilisation, per cent. */
const veryLow = 15;
const low = 25;
const busy = 80;
const halfUsed = 50;
const lowPowerShare = 0.5;
const throttledShare = 0.05;
const roomyMemoryShare = 0.5;
/** What a context without any work takes on a card, and a little more. */
const contextBytes = 700e6;

/** NVIDIA's "XID Errors" tells these from those that a program brings about itself (13, 31, 43, 45, ...). */
const hardwareXids: ReadonlySet<number> = new Set([48, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120, 140]);
const heatReasons = ['sw-thermal', 'hw-thermal', 'hw-slowdown', 'hw-power-brake'];

export function gpuAdvice(facts: Evidence, isLongEnough: boolean): Advice[] {
  const sound = [faulty(facts), memoryFull(facts)];
  if (!isLongEnough) return sound.filter((advice) => advice !== null);
  const unused = facts.gpus.filter(isUnused);
  const idling = unused.length > 0 ? unusedGpus(facts, unused) : (starved(facts) ?? idle(facts) ?? lowUse(facts));
  const isFine = unused.length === 0;
  return [...sound, idling, slowed(facts), isFine ? lowPower(facts) : null, isFine ? smaller(facts) : null].filter((advice) => advice !== null);
}

function isUnused({ idleShare: idled, memoryPeakBytes }: GpuFigures): boolean {
  return idled !== null && idled >= unusedShare && (memoryPeakBytes === null || memoryPeakBytes < contextBytes);
}

function unusedGpus({ gpus, cost }: Evidence, unused: readonly GpuFigures[]): Advice {
  const all = unused.length === gpus.length;
  const peak = Math.max(...unused.map(({ memoryPeakBytes }) => memoryPeakBytes ?? 0));
  return {
    code: 'gpu-unused',
    level: 'warn',
    text: all ? 'The job did not use the GPU' : `Of ${gpus.length} GPUs ${unused.length} did nothing`,
    evidence: `${named(unused)}: below 5 % for ${percent(Math.min(...unused.map(({ idleShare: idled }) => idled ?? 0)))} of the time, ${formatSize(peak)} of memory at most${dollars(cost.idleUsd, (usd) => `; idle GPUs cost ${usd}`)}`,
    actions: all
      ? ['See that the framework finds the GPU: torch.cuda.is_available(), model.to("cuda")', 'If it needs none, a machine without a GPU costs much less']
      : ['Use all of them: torchrun --nproc-per-node with DistributedDataParallel', `Or rent fewer: --gpu NAME:${gpus.length - unused.length}`],
  };
}

function starved({ gpus, host, cost }: Evidence): Advice | null {
  const waiting = gpus.filter((gpu) => gpu.starvedShare >= starvedShare);
  if (waiting.length === 0 || host === null) return null;
  const worst = Math.max(...waiting.map((gpu) => gpu.starvedShare));
  const full = host.cpuMean !== null && host.cpuMean >= busy;
  const cpus = host.cpuMean === null ? '' : `; CPUs: ${perCent(host.cpuMean)} on average over ${host.cpus}`;
  const busiest = host.busiestCpuMean === null ? '' : `, the busiest one ${perCent(host.busiestCpuMean)}`;
  const workers = Math.max(2, Math.floor(host.cpus / gpus.length));
  return {
    code: 'starved',
    level: 'warn',
    text: `The GPU waited for data for ${percent(worst)} of the time`,
    evidence: `${named(waiting)} idle while a CPU was busy${cpus}${busiest}${dollars(cost.idleUsd, (usd) => `; idle GPUs cost ${usd}`)}`,
    actions: full
      ? [
          'Move decoding and augmentation to the GPU, or do them once and keep the result',
          `All ${host.cpus} CPUs are full: rent a machine with more of them for each GPU`,
        ]
      : [
          `Let more processes load data: DataLoader(num_workers=${workers}, persistent_workers=True, prefetch_factor=4)`,
          'pin_memory=True, and .to(device, non_blocking=True)',
          'Move decoding and augmentation to the GPU, or do them once and keep the result',
        ],
  };
}

/** Idle, and no CPU was busy either: it waits for something else. */
function idle({ gpus, host, cost, checkpoints }: Evidence): Advice | null {
  const idling = gpus.filter((gpu) => (gpu.idleShare ?? 0) >= idleShare);
  if (idling.length === 0) return null;
  const cpu = host?.cpuMean === null || host === null ? '' : `; CPUs: ${perCent(host.cpuMean)} on average`;
  const writing = checkpoints.seconds > 0 ? `; checkpoints were written for ${Math.round(checkpoints.seconds)} s` : '';
  return {
    code: 'idle',
    level: 'warn',
    text: `The GPU idled for ${percent(Math.max(...idling.map((gpu) => gpu.idleShare ?? 0)))} of the time`,
    evidence: `${named(idling)} below 5 %${cpu}${writing}${dollars(cost.idleUsd, (usd) => `; that cost ${usd}`)}`,
    actions: [
      'Look for what it waits for: reading from disk or network, evaluation on the CPU, saving, a lock; gpu-run top shows it live',
      'Copy data to the local disk first, and read it in large files',
      'Profile some steps: torch.profiler',
    ],
  };
}

function lowUse({ gpus, machine }: Evidence): Advice | null {
  const lazy = gpus.filter(({ utilizationMean }) => utilizationMean !== null && utilizationMean < low);
  if (lazy.length === 0) return null;
  const mean = Math.min(...lazy.map(({ utilizationMean }) => utilizationMean ?? 0));
  return {
    code: 'low-use',
    level: mean <= veryLow ? 'warn' : 'info',
    text: `The GPU was used little: ${perCent(mean)} on average`,
    evidence: lazy
      .map((gpu) => `${named([gpu])}: mean ${perCent(gpu.utilizationMean ?? 0)}, median ${perCent(gpu.utilizationP50 ?? 0)}${memoryText(gpu)}`)
      .join('; '),
    actions: [
      ...(lazy.every(isRoomy) ? ['A larger batch: memory has room for it'] : []),
      ...(machine.offer.price.perHour > 0 ? ['A cheaper card would do the same work'] : []),
      'Two jobs could share the machine',
    ],
  };
}

/** Utilisation says that some kernel ran, and power says how much of the chip had work. */
function lowPower({ gpus }: Evidence): Advice | null {
  const light = gpus.filter(
    ({ utilizationMean, powerMeanWatts, powerLimitWatts }) =>
      (utilizationMean ?? 0) >= busy && powerMeanWatts !== null && powerLimitWatts !== null && powerMeanWatts < powerLimitWatts * lowPowerShare,
  );
  const [gpu] = light;
  if (gpu === undefined) return null;
  return {
    code: 'low-power',
    level: 'info',
    text: 'The GPU was busy, but not with much: its kernels are small or narrow',
    evidence: `${named(light)}: ${perCent(gpu.utilizationMean ?? 0)} busy at ${Math.round(gpu.powerMeanWatts ?? 0)} of ${Math.round(gpu.powerLimitWatts ?? 0)} W${memoryText(gpu)}`,
    actions: [
      ...(isRoomy(gpu) ? ['A larger batch: memory has room for it'] : []),
      'Mixed precision, if it is not used yet: torch.autocast("cuda", dtype=torch.bfloat16)',
      'torch.compile, which joins small kernels',
    ],
  };
}

function smaller({ gpus, machine }: Evidence): Advice | null {
  const peak = Math.max(...gpus.map(({ memoryPeakBytes }) => memoryPeakBytes ?? Number.POSITIVE_INFINITY));
  const least = Math.min(...gpus.map(({ memoryTotalBytes }) => memoryTotalBytes ?? 0));
  const isBusy = gpus.some(({ utilizationMean }) => (utilizationMean ?? 100) >= halfUsed);
  const size = gpus.length === 0 || !Number.isFinite(peak) || isBusy ? null : smallerCard(peak, least);
  if (size === null || machine.offer.price.perHour === 0) return null;
  return {
    code: 'smaller-card',
    level: 'info',
    text: `A ${size.gb} GB card would do (${size.cards.join(', ')})`,
    evidence: `memory: ${formatSize(peak)} at most of ${formatSize(least)}; utilisation: ${gpus.map(({ utilizationMean }) => perCent(utilizationMean ?? 0)).join(', ')}`,
    actions: [`gpu-run offers --gpu ${size.cards[0]}:${gpus.length}   shows what it costs`],
  };
}

function slowed({ gpus }: Evidence): Advice | null {
  const hot = gpus.filter(({ throttled }) => heatReasons.some((reason) => (throttled[reason] ?? 0) >= throttledShare));
  if (hot.length === 0) return null;
  const said = hot.map((gpu) => {
    const reasons = heatReasons.filter((reason) => (gpu.throttled[reason] ?? 0) > 0).map((reason) => `${reason} ${percent(gpu.throttled[reason] ?? 0)}`);
    return `${named([gpu])}: ${reasons.join(', ')} of the time${gpu.temperatureMaxC === null ? '' : `, ${gpu.temperatureMaxC} °C at most`}`;
  });
  return {
    code: 'throttled',
    level: 'warn',
    text: 'The GPU was slowed down to protect itself from heat or its power supply',
    evidence: said.join('; '),
    actions: ['Take another machine, in another zone or of another provider: this one is cooled or fed badly'],
  };
}

function faulty({ gpus }: Evidence): Advice | null {
  const bad = gpus.filter(({ xids, eccErrors }) => xids.some((xid) => hardwareXids.has(xid)) || (eccErrors ?? 0) > 0);
  if (bad.length === 0) return null;
  const said = bad.map(
    (gpu) =>
      `${named([gpu])}: ${[...(gpu.xids.length > 0 ? [`XID ${[...new Set(gpu.xids)].join(', ')}`] : []), ...((gpu.eccErrors ?? 0) > 0 ? [`${gpu.eccErrors} uncorrected memory errors`] : [])].join(', ')}`,
  );
  return {
    code: 'faulty-gpu',
    level: 'warn',
    text: 'The GPU reported faults of its hardware',
    evidence: said.join('; '),
    actions: ['Do not trust what was computed since, and take another machine', "Look the XID up in NVIDIA's list of XID errors, and tell the provider"],
  };
}

/** Only of a job that failed: some frameworks take nearly all memory from the start, and that is no fault. */
function memoryFull({ gpus, job }: Evidence): Advice | null {
  const { end } = job;
  const full = gpus.filter(
    ({ memoryPeakBytes, memoryTotalBytes }) => memoryPeakBytes !== null && memoryTotalBytes !== null && memoryPeakBytes >= memoryTotalBytes * 0.95,
  );
  if (full.length === 0 || end === null || end.code === 0 || (end.reason !== 'exit' && end.reason !== 'signal')) return null;
  return {
    code: 'memory-full',
    level: 'warn',
    text: 'The job failed while the memory of its GPU was full',
    evidence: full.map((gpu) => `${named([gpu])}${memoryText(gpu)}`).join('; '),
    actions: [
      'Look for "out of memory" at the end of the log',
      'A smaller batch with gradient accumulation, gradient checkpointing, mixed precision',
      'A card with more memory',
    ],
  };
}

function isRoomy({ memoryPeakBytes, memoryTotalBytes }: GpuFigures): boolean {
  return memoryPeakBytes !== null && memoryTotalBytes !== null && memoryPeakBytes < memoryTotalBytes * roomyMemoryShare;
}

function memoryText({ memoryPeakBytes, memoryTotalBytes }: GpuFigures): string {
  return memoryPeakBytes === null || memoryTotalBytes === null ? '' : `, memory ${formatSize(memoryPeakBytes)} at most of ${formatSize(memoryTotalBytes)}`;
}
