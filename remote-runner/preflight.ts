/** Can jobs use the GPUs of this machine? One look: who asks decides whether to wait for a driver that is on its way. */
import type { GpuFacts } from '../src/protocol/calls.ts';
import type { GpuCheck, PreflightReport } from '../src/protocol/preflight.ts';
import { checkKernel, type KernelOutcome } from './check-kernel.ts';
import { type DriverSigns, driverSigns } from './driver-install.ts';
import { askForGpus, type GpuReport, namesTrouble } from './gpu-report.ts';

export interface PreflightPlaces {
  readonly env: NodeJS.ProcessEnv;
  /** `/`, or a tree that looks like it. */
  readonly root: string;
}

/** What comes up by itself has done so by then, seconds after the boot. */
const startsWithinSeconds = 180;

export async function preflight({ env, root }: PreflightPlaces = { env: process.env, root: '/' }): Promise<PreflightReport> {
  const report = await askForGpus(env);
  if (report.problem !== null) return withoutDriver(report, driverSigns(root));
  const outcomes = await Promise.all(report.gpus.map((gpu) => checkOne(gpu, env)));
  const starting = outcomes.find((outcome) => outcome.kind === 'failed' && outcome.notYet);
  if (starting?.kind === 'failed' && justBooted(driverSigns(root))) return { driver: 'starting', problem: starting.problem, gpus: [], note: null };
  const unknown = outcomes.find((outcome) => outcome.kind === 'unknown');
  return {
    driver: 'ready',
    problem: null,
    gpus: report.gpus.map((gpu, at) => checked(gpu, outcomes[at])),
    note: unknown?.kind === 'unknown' ? `The GPUs were checked as far as nvidia-smi goes: ${unknown.why}` : null,
  };
}

async function checkOne(gpu: GpuFacts, env: NodeJS.ProcessEnv): Promise<KernelOutcome> {
  const odd = namesTrouble(gpu);
  return odd === null ? checkKernel(gpu, env) : { kind: 'failed', problem: odd, notYet: false };
}

function checked({ index, name }: GpuFacts, outcome: KernelOutcome | undefined): GpuCheck {
  return { index, name, kernel: outcome?.kind ?? 'unknown', problem: outcome?.kind === 'failed' ? outcome.problem : null };
}

/** A driver that is being installed shows itself in many ways, a mismatch of versions among them: so an installer at work decides. */
function withoutDriver({ problem, trouble }: GpuReport, signs: DriverSigns): PreflightReport {
  const state = (driver: PreflightReport['driver'], text: string | null): PreflightReport => ({ driver, problem: text, gpus: [], note: null });
  if (signs.installer !== null && trouble !== 'gpu-lost') return state('installing', `${signs.installer} is at work`);
  if (trouble !== 'missing' && trouble !== 'not-loaded') return state('failing', problem);
  if (signs.device && !signs.loaded && justBooted(signs)) return state('starting', problem);
  const where = signs.device ? 'an NVIDIA GPU is there' : 'no NVIDIA GPU is on the PCI bus either';
  return state(trouble === 'missing' ? 'missing' : 'failing', `${problem}; ${where}`);
}

function justBooted({ uptimeSeconds }: DriverSigns): boolean {
  return uptimeSeconds !== null && uptimeSeconds < startsWithinSeconds;
}
