/** Advice on the run around the GPUs: host memory and disk, checkpoints, waiting, and what the machine costs. */
import { formatUsd } from '../core/money.ts';
import { formatSize } from '../core/size.ts';
import type { Advice, Evidence } from './report-figures.ts';
import { percent } from './report-words.ts';

const fullMemoryShare = 0.9;
const lowDiskBytes = 2e9;
const checkpointShare = 0.05;
/** Seconds. */
const longSilence = 600;
const longRun = 600;
const longPreparation = 120;
/** US dollars that are worth a change. */
const worthUsd = 0.5;

export function runAdvice(facts: Evidence, isLongEnough: boolean): Advice[] {
  const always = [hostMemory(facts), diskSpace(facts), noCheckpoints(facts)];
  const late = isLongEnough ? [checkpointTime(facts), preparation(facts), spot(facts)] : [];
  return [...always, ...late, silence(facts)].filter((advice) => advice !== null);
}

function hostMemory({ host }: Evidence): Advice | null {
  if (host === null || host.memoryPeakBytes === null || host.memoryTotalBytes === null || host.memoryPeakBytes < host.memoryTotalBytes * fullMemoryShare)
    return null;
  return {
    code: 'host-memory',
    level: 'warn',
    text: 'The memory of the machine was nearly full: more, and the kernel ends the job',
    evidence: `${formatSize(host.memoryPeakBytes)} at most of ${formatSize(host.memoryTotalBytes)}`,
    actions: ['Fewer data-loader workers, or data sets that are read from disk as needed (memory mapping)', 'A machine with more memory'],
  };
}

function diskSpace({ host, checkpoints }: Evidence): Advice | null {
  const least = host?.diskFreeLeastBytes ?? null;
  if (least === null || least >= lowDiskBytes) return null;
  return {
    code: 'disk-space',
    level: 'warn',
    text: 'The disk of the machine was nearly full',
    evidence: `${formatSize(least)} were free at the least`,
    actions: ['A larger disk', ...(checkpoints.count > 0 ? ['Keep fewer checkpoints'] : [])],
  };
}

function noCheckpoints({ machine, checkpoints, times }: Evidence): Advice | null {
  if (!machine.offer.spot || checkpoints.count > 0 || times.run < longRun) return null;
  return {
    code: 'no-checkpoints',
    level: 'warn',
    text: 'The machine may be taken back at any time, and the job saved no checkpoint',
    evidence: `a spot machine, ${Math.round(times.run / 60)} minutes of work, no checkpoint`,
    actions: ['Save checkpoints to $GPU_RUN_CHECKPOINT_DIR now and then, and go on from $GPU_RUN_RESUME_FROM'],
  };
}

function checkpointTime({ checkpoints, times }: Evidence): Advice | null {
  const { shareOfRun, count, seconds, interval, bytes } = checkpoints;
  if (shareOfRun === null || shareOfRun < checkpointShare || count < 2) return null;
  const every = interval === null ? '' : `, one every ${Math.round(interval)} s`;
  return {
    code: 'checkpoint-time',
    level: 'info',
    text: `Checkpoints were being written for ${percent(shareOfRun)} of the time`,
    evidence: `${count} checkpoints, ${formatSize(bytes)}, ${Math.round(seconds)} of ${Math.round(times.run)} s${every}`,
    actions: [
      'Save less often: what a preemption costs at most is one interval',
      'Save in the background: copy to the CPU, write in a thread (torch.distributed.checkpoint.async_save)',
    ],
  };
}

function preparation({ times, machine }: Evidence): Advice | null {
  const before = (times.startUp ?? 0) + (times.sync ?? 0) + times.setup;
  if (machine.offer.price.perHour === 0 || before < longPreparation || before < times.run) return null;
  const parts = [
    ...(times.startUp === null ? [] : [`machine ${Math.round(times.startUp)} s`]),
    ...(times.sync === null ? [] : [`sync ${Math.round(times.sync)} s`]),
    `setup ${Math.round(times.setup)} s`,
  ];
  return {
    code: 'preparation',
    level: 'info',
    text: 'Getting ready took longer than the work',
    evidence: `${parts.join(', ')}; work ${Math.round(times.run)} s`,
    actions: [
      'Leave the machine up for several jobs (gpu-run up, then gpu-run train): setup runs again only when it changes',
      'An image that has the packages in it',
    ],
  };
}

function spot({ machine, checkpoints, cost, times }: Evidence): Advice | null {
  if (machine.offer.spot || machine.offer.price.perHour === 0 || cost.usd < worthUsd || (checkpoints.count === 0 && times.run > longRun)) return null;
  return {
    code: 'spot',
    level: 'info',
    text: 'A spot machine would cost less, where the provider has them',
    evidence: `${formatUsd(cost.usd)} on demand; ${checkpoints.count > 0 ? `the job saves checkpoints (${checkpoints.count})` : `it took ${Math.round(times.run / 60)} minutes`}`,
    actions: ['gpu-run offers --spot   shows the prices'],
  };
}

function silence({ times }: Evidence): Advice | null {
  if (times.longestSilence === null || times.longestSilence < longSilence) return null;
  return {
    code: 'silence',
    level: 'info',
    text: `The job wrote nothing for ${Math.round(times.longestSilence / 60)} minutes`,
    evidence: 'a job that writes nothing while no GPU works is taken for stalled (--stall)',
    actions: ['Print progress now and then'],
  };
}
