/** The GPUs that this machine can give to jobs. Asking the driver takes seconds where nothing keeps it loaded: so it is done beside other work. */

import { askForGpus, type GpuReport, namesTrouble } from './gpu-report.ts';
import { visibleDevices } from './grant.ts';

export interface Inventory {
  /** The newest answer; null: there is none yet. */
  readonly report: GpuReport | null;
  /** Milliseconds since it came; infinite before. */
  ageMs(): number;
  /** Asks, unless it is asking already; `onAnswer` is called when there is one. */
  ask(): void;
}

export function createInventory(onAnswer: () => void, look: () => Promise<GpuReport> = usableGpus): Inventory {
  let report: GpuReport | null = null;
  let asOf = Number.NEGATIVE_INFINITY;
  let asking = false;
  const take = (fresh: GpuReport) => {
    asking = false;
    report = fresh;
    asOf = performance.now();
    onAnswer();
  };
  return {
    get report() {
      return report;
    },
    ageMs: () => performance.now() - asOf,
    ask() {
      if (asking) return;
      asking = true;
      look().then(take, (error: unknown) => take({ gpus: [], problem: String(error), trouble: 'other' }));
    },
  };
}

/** Those that answer, and that we ourselves were given where somebody has given us some. */
export async function usableGpus(env: NodeJS.ProcessEnv = process.env): Promise<GpuReport> {
  const report = await askForGpus(env);
  const ours = env[visibleDevices];
  const words = ours === undefined ? null : ours.split(',').map((word) => word.trim());
  const isOurs = (index: number, uuid: string) => words === null || words.some((word) => word === String(index) || (word !== '' && uuid.startsWith(word)));
  return { ...report, gpus: report.gpus.filter((gpu) => namesTrouble(gpu) === null && isOurs(gpu.index, gpu.uuid)) };
}
